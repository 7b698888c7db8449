"""A quote: what a request would make and what is stored of it already. Nothing is written."""

from typing import Any

from service.contract.value import Value
from service.lifecycle.check import check_request
from service.lifecycle.finish import stored_shards
from service.lifecycle.parts import Parts


class Quote(Value):
    """`bytes` and `seconds` come from shards made before with this decoder and format; null while there are none.

    `seconds` is the time that all live workers need for what is not stored; null too while no worker lives.
    """

    samples: int
    shards: int
    shards_stored: int
    bytes: int | None
    seconds: float | None


def quote(
    parts: Parts, body: Any, *, max_count: int, webhook_hosts: frozenset[str] | None = None
) -> Quote:
    """Raises RequestInvalid like a submit would."""
    request, _ = check_request(
        parts.storage, body, max_count=max_count, webhook_hosts=webhook_hosts
    )
    # A drawn seed has never been used, so nothing of it can be stored.
    stored = len(list(stored_shards(parts.storage, request))) if body.get("seed") is not None else 0
    work = parts.ledger.work(f"{request.digest}:{request.format}:{request.compression}")
    made, slots = work.get("samples", 0), parts.ledger.live_slots()
    missing = max(0, request.count - stored * request.shard_size)
    return Quote(
        samples=request.count,
        shards=request.shards,
        shards_stored=stored,
        bytes=round(request.count * work["bytes"] / made) if made else None,
        seconds=round(missing * work["busy_ms"] / made / 1000 / slots, 3)
        if made and slots
        else None,
    )
