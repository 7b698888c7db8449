"""A published decoder is whole, checked, and where its name says; a refused one leaves nothing."""

import json
from pathlib import Path

import pytest

from export.publish import load_files, load_folder, publish, publish_bundled, read_bundled
from service.adapters.storage_folder import FolderStorage
from service.contract import layout
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused, UnknownDecoder
from tests.fixtures.decoders import tiny_card, tiny_decoder, tiny_graph


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


def keys(storage: FolderStorage) -> list[str]:
    return [found.key for found in storage.list("")]


def current(storage: FolderStorage, name: str = "tiny") -> str:
    digest: str = json.loads(storage.get(layout.decoder_current(name)))["digest"]
    return digest


def stored_card(storage: FolderStorage, card: DecoderCard) -> DecoderCard:
    return DecoderCard.model_validate_json(storage.get(layout.decoder_card(card.name, card.digest)))


def write(folder: Path, onnx: bytes, card: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "decoder.onnx").write_bytes(onnx)
    (folder / "card.json").write_bytes(card)
    return folder


def test_publishing_stores_file_card_and_promotion(storage: FolderStorage) -> None:
    """Both files lie under the digest, byte for byte, and the name means this digest."""
    onnx, card = tiny_decoder()
    publish(storage, onnx, card)
    assert storage.get(layout.decoder_onnx("tiny", card.digest)) == onnx
    stored = storage.get(layout.decoder_card("tiny", card.digest))
    assert DecoderCard.model_validate_json(stored) == card
    assert current(storage) == card.digest


def test_publishing_twice_is_harmless(storage: FolderStorage) -> None:
    """A publish that was interrupted or repeated ends where one publish ends."""
    publish(storage, *tiny_decoder())
    once = keys(storage)
    publish(storage, *tiny_decoder())
    assert keys(storage) == once


def test_promotion_can_wait_and_can_go_back(storage: FolderStorage) -> None:
    """`promote=False` stores without changing what the name means; publishing the old one goes back."""
    (old, old_card), (new, new_card) = tiny_decoder(), tiny_decoder(seed=1)
    publish(storage, old, old_card)
    publish(storage, new, new_card, promote=False)
    assert current(storage) == old_card.digest
    publish(storage, new, new_card)
    assert current(storage) == new_card.digest
    publish(storage, old, old_card)
    assert current(storage) == old_card.digest


def test_unconditional_decoder_is_published_too(storage: FolderStorage) -> None:
    """A decoder without labels keeps the contract as well."""
    onnx, card = tiny_decoder(labels=())
    publish(storage, onnx, card)
    assert current(storage) == card.digest


def test_damaged_stored_file_is_mended_by_publishing_again(storage: FolderStorage) -> None:
    """The key is the sha256 of the right bytes, so wrong bytes there are replaced, not believed."""
    onnx, card = tiny_decoder()
    storage.put(layout.decoder_onnx("tiny", card.digest), onnx[:-1])
    publish(storage, onnx, card)
    assert storage.get(layout.decoder_onnx("tiny", card.digest)) == onnx


def test_a_digest_keeps_the_labels_it_was_published_with(storage: FolderStorage) -> None:
    """Recipes name the digest only: under other labels one recipe would draw other images."""
    onnx, card = tiny_decoder()
    publish(storage, onnx, card)
    swapped = tiny_card(onnx, labels=tuple("1023456789"))
    with pytest.raises(DecoderRefused, match="a digest keeps its first ones"):
        publish(storage, onnx, swapped)
    assert stored_card(storage, card) == card


def test_publishing_again_tells_readers_the_new_words(storage: FolderStorage) -> None:
    """Measured later, the figures reach everybody who asks for the card; the digest stays."""
    onnx, card = tiny_decoder()
    publish(storage, onnx, card)
    words = {"description": "told better", "quality": {"fidelity": 0.98}, "training": {"epochs": 3}}
    retold = card.model_copy(update=words | {"precision": "int8"})
    publish(storage, onnx, retold)
    assert stored_card(storage, card) == retold
    assert current(storage) == card.digest


def test_damaged_stored_card_is_mended_by_publishing_again(storage: FolderStorage) -> None:
    """A card that nobody can read is replaced by the one that comes with the same bytes."""
    onnx, card = tiny_decoder()
    storage.put(layout.decoder_card("tiny", card.digest), b"{")
    publish(storage, onnx, card)
    assert stored_card(storage, card) == card


REFUSED = {
    "digest": lambda: (tiny_graph(seed=1), tiny_decoder()[1]),
    "not_onnx": lambda: (b"not ONNX", tiny_card(b"not ONNX")),
    "inputs": lambda: (file := tiny_graph(latent_name="z"), tiny_card(file)),
    "shape": lambda: (tiny_graph(), tiny_card(tiny_graph(), shape=(8, 8, 3))),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused_decoder_leaves_nothing_behind(storage: FolderStorage, fault: str) -> None:
    """A file that does not keep its card is refused in one line before anything is written."""
    with pytest.raises(DecoderRefused) as error:
        publish(storage, *REFUSED[fault]())
    assert "\n" not in str(error.value)
    assert keys(storage) == []


def test_folder_is_loaded_or_refused_by_file(tmp_path: Path) -> None:
    """A missing file, a card that is no JSON and a card that lacks a field are named."""
    onnx, card = tiny_decoder()
    folder = write(tmp_path / "good", onnx, card.to_json())
    assert load_folder(folder) == (onnx, card)
    assert load_files(folder / "decoder.onnx", folder / "card.json") == (onnx, card)
    with pytest.raises(DecoderRefused, match=r"card\.json is not a decoder card: .*JSON"):
        load_folder(write(tmp_path / "text", onnx, b"labels: 10"))
    with pytest.raises(DecoderRefused, match=r"is not a decoder card: digest: Field required"):
        load_folder(write(tmp_path / "field", onnx, b'{"name": "tiny"}'))
    (folder / "decoder.onnx").unlink()
    with pytest.raises(DecoderRefused, match=r"decoder\.onnx cannot be read: No such file"):
        load_folder(folder)


def test_bundled_decoder_is_published_once(storage: FolderStorage) -> None:
    """A new store gets the decoder that ships; a store with an own `mnist` keeps it."""
    assert publish_bundled(storage) is True
    onnx, card = read_bundled()
    assert current(storage, "mnist") == card.digest
    assert storage.get(layout.decoder_onnx("mnist", card.digest)) == onnx
    own, own_card = tiny_decoder(name="mnist")
    publish(storage, own, own_card)
    assert publish_bundled(storage) is False
    assert current(storage, "mnist") == own_card.digest


def test_unknown_bundled_decoder_is_named() -> None:
    """Asking for a decoder that does not ship says which."""
    with pytest.raises(UnknownDecoder, match="'imagenet'"):
        read_bundled("imagenet")
