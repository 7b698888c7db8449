"""Which decoders are published, and their cards."""

import json
import re

import structlog
from pydantic import ValidationError

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.card import DECODER_NAME, DecoderCard
from service.contract.errors import DecoderRefused, ObjectMissing, UnknownDecoder
from service.contract.value import SHA256

log = structlog.get_logger(__name__)


def current_digest(storage: Storage, name: str) -> str:
    """The promoted version. Raises UnknownDecoder; DecoderRefused for a pointer that does not parse."""
    try:
        pointer = storage.get(layout.decoder_current(name))
    except ObjectMissing as error:
        raise UnknownDecoder(f"no decoder {name!r} is published") from error
    try:
        return str(json.loads(pointer)["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise DecoderRefused(f"{layout.decoder_current(name)} is broken; publish again") from error


def read_card(storage: Storage, name: str, digest: str) -> DecoderCard:
    """The card of one version. Raises UnknownDecoder; DecoderRefused for a card that does not parse."""
    try:
        text = storage.get(layout.decoder_card(name, digest))
    except ObjectMissing as error:
        raise UnknownDecoder(f"no decoder {name}@{digest[:12]}… is published") from error
    try:
        card = DecoderCard.model_validate_json(text)
    except ValidationError as error:
        raise DecoderRefused(
            f"the card of decoder {name}@{digest[:12]}… is broken: {error.errors()[0]['msg']}"
        ) from error
    if (card.name, card.digest) != (name, digest):
        # Whoever may write objects could otherwise let every worker load another file than a job names.
        raise DecoderRefused(
            f"the card of decoder {name}@{digest[:12]}… is that of {card.name}@{card.digest[:12]}…"
        )
    return card


def find_card(storage: Storage, name: str, digest: str | None = None) -> DecoderCard:
    """The card of `name`, pinned or current. Raises UnknownDecoder, also for what can be no name."""
    if not re.fullmatch(DECODER_NAME, name) or not re.fullmatch(SHA256, digest or "0" * 64):
        raise UnknownDecoder(f"no decoder {name[:64]!r} is published")
    return read_card(storage, name, digest or current_digest(storage, name))


def list_cards(storage: Storage) -> list[DecoderCard]:
    """The current card of every published decoder, by name; a broken one is logged and left out."""
    names = [
        entry.key.split("/")[1]
        for entry in storage.list(layout.DECODERS)
        if entry.key == layout.decoder_current(entry.key.split("/")[1])
    ]
    return [card for name in names if (card := _card_or_none(storage, name))]


def _card_or_none(storage: Storage, name: str) -> DecoderCard | None:
    try:
        return find_card(storage, name)
    except (DecoderRefused, UnknownDecoder) as error:
        log.error("decoder_unusable", decoder=name, reason=error.detail)
        return None
