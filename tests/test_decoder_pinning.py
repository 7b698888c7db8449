"""A job names its decoder by digest, and workers load those bytes or none."""

from collections.abc import Callable

import pytest

from service.contract import layout
from service.contract.card import LARGEST_ONNX_BYTES, DecoderCard
from service.contract.errors import DecoderRefused
from service.lifecycle.decoders import read_card
from service.lifecycle.parts import Parts
from tests.fixtures.decoders import tiny_card, tiny_decoder, tiny_graph
from workers.sessions import Sessions


def loaded(parts: Parts, card: DecoderCard) -> object:
    return Sessions(parts.storage, device="cpu", threads=1).get(card.name, card.digest)


def swap_file(parts: Parts, card: DecoderCard) -> None:
    other = tiny_graph(seed=1)
    assert len(other) == card.size_bytes
    parts.storage.put(layout.decoder_onnx(card.name, card.digest), other)


def swap_both(parts: Parts, card: DecoderCard) -> None:
    other = tiny_graph(seed=1)
    parts.storage.put(layout.decoder_onnx(card.name, card.digest), other)
    theirs = tiny_card(other).to_json()
    parts.storage.put(layout.decoder_card(card.name, card.digest), theirs)


def grow_file(parts: Parts, card: DecoderCard) -> None:
    parts.storage.put(layout.decoder_onnx(card.name, card.digest), bytes(card.size_bytes + 1))


@pytest.mark.parametrize(
    ("harm", "told"),
    [(swap_file, "sha256"), (swap_both, "is that of tiny@"), (grow_file, "its card says")],
)
def test_no_other_file_is_loaded(
    parts: Parts, harm: Callable[[Parts, DecoderCard], None], told: str
) -> None:
    """Not another of the same size, not with a card of its own, not one that would fill the memory."""
    _, card = tiny_decoder()
    assert loaded(parts, card)
    harm(parts, card)
    with pytest.raises(DecoderRefused, match=told):
        loaded(parts, card)


def test_a_file_too_large_is_not_read(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked how large it is before it is asked for a byte."""
    _, card = tiny_decoder()
    grow_file(parts, card)
    read: list[str] = []
    get = parts.storage.get
    monkeypatch.setattr(parts.storage, "get", lambda key: read.append(key) or get(key))
    with pytest.raises(DecoderRefused):
        loaded(parts, card)
    assert read == [layout.decoder_card(card.name, card.digest)]


def test_a_byte_that_flips_on_its_way_is_read_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged download refuses no decoder, and so fails no job."""
    onnx, card = tiny_decoder()
    key = layout.decoder_onnx(card.name, card.digest)
    answers = [onnx[:-1] + bytes([onnx[-1] ^ 1]), onnx]
    get = parts.storage.get
    monkeypatch.setattr(
        parts.storage, "get", lambda asked: answers.pop(0) if asked == key else get(asked)
    )
    assert loaded(parts, card)
    assert answers == []


def test_a_card_has_a_largest_file(parts: Parts) -> None:
    """No card makes a worker read more than the format itself allows."""
    _, card = tiny_decoder()
    huge = card.model_dump_json().replace(
        f'"size_bytes":{card.size_bytes}', f'"size_bytes":{LARGEST_ONNX_BYTES + 1}'
    )
    parts.storage.put(layout.decoder_card(card.name, card.digest), huge.encode())
    with pytest.raises(DecoderRefused, match="is broken"):
        read_card(parts.storage, card.name, card.digest)
