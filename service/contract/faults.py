"""What is wrong with a request: every fault at once, each with its place and a way out."""

import re
from typing import Any

from pydantic import ValidationError

from service.contract.card import DecoderCard
from service.contract.errors import Fault, RequestInvalid
from service.contract.mix import MAX_PERIOD, weights_of
from service.contract.recipe import MAX_SEED
from service.contract.request import MOST_TAGS, JobRequest
from service.contract.shard import BLOCK, DEFAULT_SHARD_BYTES
from service.contract.webhook_url import read_url


def parse_request(body: Any) -> JobRequest:
    """Check a body on its own. Raises RequestInvalid with every fault at once."""
    if not isinstance(body, dict):
        raise RequestInvalid([Fault("", "the body is a JSON object")])
    faults = _which_labels(body)
    try:
        request = JobRequest.model_validate(body)
    except ValidationError as error:
        raise RequestInvalid(_each_once(faults_of(error) + faults)) from error
    if faults:
        raise RequestInvalid(faults)
    return request


def _which_labels(body: dict[str, Any]) -> list[Fault]:
    """A mix stands in place of a label and a count."""
    if body.get("labels") is None:
        return [] if body.get("count") is not None else [Fault("/count", "required")]
    return [
        Fault(f"/{name}", f"`labels` stands in place of `{name}`: give one of them")
        for name in ("label", "count")
        if body.get(name) is not None
    ]


def _each_once(faults: list[Fault]) -> list[Fault]:
    """The first fault of each place."""
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.pointer, fault)
    return list(first.values())


def faults_of(error: ValidationError) -> list[Fault]:
    """Pydantic's errors as faults; the branches of a union are told as one."""
    faults: dict[str, Fault] = {}
    for item in error.errors(include_url=False, include_context=False):
        field = [str(part) for part in item["loc"][:1]]
        pointer = "".join("/" + _escaped(part) for part in field)
        faults.setdefault(pointer, Fault(pointer, _plain(item["type"], item["msg"], pointer)))
    return list(faults.values())


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _plain(kind: str, message: str, pointer: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "missing":
        return "required"
    if pointer == "/seed":
        return f"an integer from 0 to {MAX_SEED}, or its decimal string"
    if pointer == "/label":
        return "a label as a string, or its number"
    if pointer == "/tags":
        return f"at most {MOST_TAGS} names with values, of letters, digits and ._/-, 64 characters each"
    if pointer == "/labels":
        return "an object of labels, each with a number of images from 0 up"
    return re.sub(r"^Value error, ", "", message)


def label_faults(label: str | None, card: DecoderCard) -> list[Fault]:
    """What is wrong with a label for one decoder, if anything."""
    if not card.labels:
        return [] if label is None else [Fault("/label", f"decoder {card.name} takes no label")]
    if label is None:
        return [
            Fault("/label", f"required: decoder {card.name} has the labels {_some(card.labels)}")
        ]
    if label not in card.labels:
        return [
            Fault(
                "/label",
                f"decoder {card.name} has no label {label[:64]!r}, only {_some(card.labels)}",
            )
        ]
    return []


def mix_faults(labels: dict[str, int], card: DecoderCard) -> list[Fault]:
    """What is wrong with a mix for one decoder, if anything."""
    if not card.labels:
        return [Fault("/labels", f"decoder {card.name} takes no label")]
    unknown = [label for label in labels if label not in card.labels]
    if unknown:
        told = f"decoder {card.name} has no label {unknown[0][:64]!r}, only {_some(card.labels)}"
        return [Fault("/labels", told)]
    counts = {label: count for label, count in labels.items() if count}
    if not counts:
        return [Fault("/labels", "at least one image of one label")]
    period = sum(weights_of(counts).values())
    if period > MAX_PERIOD:
        told = f"a mix repeats after {MAX_PERIOD} images at most, this one after {period}: round its counts to tens"
        return [Fault("/labels", told)]
    return []


def _some(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:20])
    return shown if len(labels) <= 20 else f"{shown}, … ({len(labels)} in all)"


def webhook_faults(url: str, hosts: frozenset[str] | None) -> list[Fault]:
    """What is wrong with a webhook's URL where these hosts are trusted; None: where webhooks are off."""
    if hosts is None:
        off = "webhooks are off; whoever runs this server sets LATENTMILL_WEBHOOK_SECRET"
        return [Fault("/webhook", off)]
    try:
        read_url(url, trusted=hosts)
    except ValueError as error:
        return [Fault("/webhook", str(error))]
    return []


def shard_size_faults(request: JobRequest, card: DecoderCard) -> list[Fault]:
    """A given shard_size keeps raw pixels within the memory that a worker sets aside for one shard."""
    most = max(BLOCK, DEFAULT_SHARD_BYTES // card.image.size_bytes // BLOCK * BLOCK)
    if request.shard_size is None or request.shard_size <= most:
        return []
    return [Fault("/shard_size", f"at most {most} for images of {card.image.size_bytes} bytes")]
