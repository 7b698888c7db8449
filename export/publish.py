"""Put a decoder where API and workers find it; without torch and onnx, for `latentmill up`."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from service.adapters.storage import Storage, create_or_keep, exists
from service.contract import layout
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused, UnknownDecoder
from service.contract.value import canonical_json
from workers.decoder import Decoder

ONNX_FILE, CARD_FILE = "decoder.onnx", "card.json"

#: What readers are told and nothing is computed from; the rest of a card decides pixels.
_FOR_READERS = {"description", "precision", "training", "quality"}


def publish(storage: Storage, onnx: bytes, card: DecoderCard, *, promote: bool = True) -> None:
    """Store a decoder under its digest and, with `promote`, make it the one its name means.

    Published again, a digest gets the card's new words for its readers: jobs and recipes pin the
    digest, and nothing is computed from those. Raises DecoderRefused when the file does not keep its
    card, or when the digest is stored with a card that would draw other images.
    """
    Decoder(onnx, card)
    _store_onnx(storage, onnx, card)
    _store_card(storage, card)
    if promote:
        # Promotion goes last: its presence says that both files are there.
        storage.put(layout.decoder_current(card.name), canonical_json({"digest": card.digest}))


def publish_bundled(storage: Storage, name: str = "mnist") -> bool:
    """Publish a bundled decoder unless its name is taken; whether it was published."""
    if exists(storage, layout.decoder_current(name)):
        return False
    publish(storage, *read_bundled(name))
    return True


def read_bundled(name: str = "mnist") -> tuple[bytes, DecoderCard]:
    """`(decoder.onnx, card)` from the wheel. Raises UnknownDecoder when none of that name ships."""
    folder = files("service.bundled_decoders") / name
    if not (folder / CARD_FILE).is_file():
        raise UnknownDecoder(f"no decoder named {name!r} ships with Latentmill")
    return _read(folder / ONNX_FILE), _parse_card(
        _read(folder / CARD_FILE), str(folder / CARD_FILE)
    )


def load_folder(folder: Path) -> tuple[bytes, DecoderCard]:
    """`(decoder.onnx, card)` as `latentmill export` wrote them. Raises DecoderRefused."""
    return load_files(folder / ONNX_FILE, folder / CARD_FILE)


def load_files(onnx: Path, card: Path) -> tuple[bytes, DecoderCard]:
    """`(decoder.onnx, card)` from two files. Raises DecoderRefused naming the wrong one."""
    return _read(onnx), _parse_card(_read(card), str(card))


def _store_onnx(storage: Storage, onnx: bytes, card: DecoderCard) -> None:
    key = layout.decoder_onnx(card.name, card.digest)
    if create_or_keep(storage, key, onnx) != onnx:
        # The key is the sha256 of these bytes, so what was stored is damaged.
        storage.put(key, onnx)


def _store_card(storage: Storage, card: DecoderCard) -> None:
    key = layout.decoder_card(card.name, card.digest)
    text = card.to_json()
    stored = create_or_keep(storage, key, text)
    if stored == text:
        return
    _check_same_images(stored, card, key)
    storage.put(key, text)


def _check_same_images(stored: bytes, card: DecoderCard, key: str) -> None:
    try:
        before = DecoderCard.model_validate_json(stored)
    except ValidationError:
        # A damaged card says nothing that could be contradicted; no job could be drawn by it.
        return
    if before.model_dump(exclude=_FOR_READERS) != card.model_dump(exclude=_FOR_READERS):
        raise DecoderRefused(
            f"{key} says other labels, shapes or batch; a digest keeps its first ones"
        )


def _read(path: Path | Traversable) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DecoderRefused(f"{path} cannot be read: {error.strerror or error}") from error


def _parse_card(text: bytes, where: str) -> DecoderCard:
    try:
        return DecoderCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        raise DecoderRefused(f"{where} is not a decoder card: {place}: {first['msg']}") from error
