"""A card written by hand: a name and the labels are enough, the file tells the rest."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from export.inspection.finding import Draft
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused
from service.contract.value import sha256_hex

#: For what a draft may leave out, so that the rest can be judged before the file is read.
_STAND_INS: Draft = {
    "digest": "0" * 64,
    "size_bytes": 1,
    "latent_dim": 1,
    "labels": [],
    "image": {"height": 1, "width": 1, "channels": 1},
    "batch_size": 1,
}


def read_draft(text: bytes, where: str) -> Draft:
    """The fields that a card file names; null is the same as absent. Raises DecoderRefused."""
    try:
        draft = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DecoderRefused(f"{where} is not a decoder card: not JSON: {error}") from error
    if not isinstance(draft, dict):
        raise DecoderRefused(f"{where} is not a decoder card: a card is a JSON object")
    return {field: value for field, value in draft.items() if value is not None}


def draft_faults(draft: Draft) -> list[str]:
    """Every fault that shows without the file, each with its field."""
    try:
        _card(_STAND_INS | draft)
    except ValidationError as error:
        return [_told(item) for item in error.errors(include_url=False)]
    return []


def file_faults(draft: Draft, file: bytes) -> list[str]:
    """Whether digest and size, where a draft names them, are those of this file."""
    faults = []
    if draft.get("digest", digest := sha256_hex(file)) != digest:
        faults.append(
            f"digest: the file has sha256 {digest[:12]}…, its card says {draft['digest'][:12]}…; "
            "left out of the card, it is filled in"
        )
    if draft.get("size_bytes", len(file)) != len(file):
        faults.append(f"size_bytes: the card says {draft['size_bytes']}, the file has {len(file)}")
    return faults


def completed(draft: Draft, facts: Draft, file: bytes) -> DecoderCard:
    """The card: what the draft says, and for the rest what the file tells. Raises ValidationError."""
    identity = {"digest": sha256_hex(file), "size_bytes": len(file), "labels": []}
    return _card(identity | facts | draft)


def _card(fields: Draft) -> DecoderCard:
    # By way of JSON, where a list may stand for a tuple and nothing else is bent.
    return DecoderCard.model_validate_json(json.dumps(fields))


def _told(item: Mapping[str, Any]) -> str:
    place = "/".join(map(str, item["loc"]))
    sentence = _PLAIN.get(item["type"], item["msg"]).removeprefix("Value error, ")
    if item["type"] == "string_pattern_mismatch":
        sentence = f"{item['input']!r} does not match {item['ctx']['pattern']}"
    return f"{place}: {sentence}" if place else sentence


_PLAIN = {"missing": "required", "extra_forbidden": "unknown field"}


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
