"""Checks a request body on its own and against the decoder's card; tells every fault at once."""

import secrets
from typing import Any

from service.adapters.storage import Storage
from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused, Fault, RequestInvalid, UnknownDecoder
from service.contract.faults import (
    label_faults,
    mix_faults,
    parse_request,
    shard_size_faults,
    webhook_faults,
)
from service.contract.request import DRAWN_SEED_LIMIT, JobRequest, ResolvedRequest, resolve
from service.lifecycle.decoders import find_card


def check_request(
    storage: Storage, body: Any, *, max_count: int, webhook_hosts: frozenset[str] | None = None
) -> tuple[ResolvedRequest, DecoderCard]:
    """The request with every default filled in. Raises RequestInvalid with every fault; writes nothing.

    `webhook_hosts` are trusted with webhooks; None where webhooks are off.
    """
    faults: list[Fault] = []
    request = None
    try:
        request = parse_request(body)
    except RequestInvalid as error:
        faults += error.faults
    card = _card_named(storage, body, faults)
    if card is not None:
        faults += _faults_with_card(body, request, card, told={fault.pointer for fault in faults})
    faults += _count_faults(body, max_count)
    if request is not None and request.webhook is not None:
        faults += webhook_faults(request.webhook, webhook_hosts)
    if faults or request is None or card is None:
        raise RequestInvalid(faults)
    return resolve(request, card, drawn_seed=secrets.randbelow(DRAWN_SEED_LIMIT)), card


def _card_named(storage: Storage, body: Any, faults: list[Fault]) -> DecoderCard | None:
    if any(fault.pointer in ("", "/decoder") for fault in faults):
        return None
    name, _, digest = body["decoder"].partition("@")
    try:
        return find_card(storage, name, digest or None)
    except (UnknownDecoder, DecoderRefused) as error:
        faults.append(Fault("/decoder", error.detail))
        return None


def _faults_with_card(
    body: dict[str, Any], request: JobRequest | None, card: DecoderCard, *, told: set[str]
) -> list[Fault]:
    faults = []
    if body.get("labels") is not None:
        faults += mix_faults(body["labels"], card) if "/labels" not in told else []
    elif "/label" not in told:
        label = body.get("label")
        faults += label_faults(None if label is None else str(label), card)
    if request is not None:
        faults += shard_size_faults(request, card)
    return faults


def _count_faults(body: Any, max_count: int) -> list[Fault]:
    count, labels = (
        (body.get(name) for name in ("count", "labels")) if isinstance(body, dict) else (0, 0)
    )
    if isinstance(labels, dict):
        count = sum(number for number in labels.values() if isinstance(number, int))
    if isinstance(count, int) and count > max_count:
        where = "/labels" if isinstance(labels, dict) else "/count"
        return [Fault(where, f"at most {max_count} samples in one job")]
    return []
