"""Which decoders are published, and their cards."""

import json
import re

from pydantic import ValidationError

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.card import DECODER_NAME, DecoderCard
from service.contract.errors import DecoderRefused, ObjectMissing, UnknownDecoder
from service.contract.value import SHA256


def current_digest(storage: Storage, name: str) -> str:
    """The promoted version. Raises UnknownDecoder."""
    try:
        pointer = storage.get(layout.decoder_current(name))
    except ObjectMissing as error:
        raise UnknownDecoder(f"no decoder {name!r} is published") from error
    return str(json.loads(pointer)["digest"])


def read_card(storage: Storage, name: str, digest: str) -> DecoderCard:
    """The card of one version. Raises UnknownDecoder; DecoderRefused for a card that does not parse."""
    try:
        text = storage.get(layout.decoder_card(name, digest))
    except ObjectMissing as error:
        raise UnknownDecoder(f"no decoder {name}@{digest[:12]}… is published") from error
    try:
        return DecoderCard.model_validate_json(text)
    except ValidationError as error:
        raise DecoderRefused(
            f"the card of decoder {name}@{digest[:12]}… is broken: {error.errors()[0]['msg']}"
        ) from error


def find_card(storage: Storage, name: str, digest: str | None = None) -> DecoderCard:
    """The card of `name`, pinned or current. Raises UnknownDecoder, also for what can be no name."""
    if not re.fullmatch(DECODER_NAME, name) or not re.fullmatch(SHA256, digest or "0" * 64):
        raise UnknownDecoder(f"no decoder {name[:64]!r} is published")
    return read_card(storage, name, digest or current_digest(storage, name))


def list_cards(storage: Storage) -> list[DecoderCard]:
    """The current card of every published decoder, by name."""
    names = [
        entry.key.split("/")[1]
        for entry in storage.list(layout.DECODERS)
        if entry.key == layout.decoder_current(entry.key.split("/")[1])
    ]
    return [find_card(storage, name) for name in names]
