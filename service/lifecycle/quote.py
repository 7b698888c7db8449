"""A quote: what a request would make and what is stored of it already. Nothing is written."""

from typing import Any

from service.adapters.fleet import Fleet, Work
from service.contract.mix import first_labels
from service.contract.request import ResolvedRequest
from service.contract.shard import shard_at
from service.contract.value import Value
from service.lifecycle.check import check_request
from service.lifecycle.finish import stored_shards
from service.lifecycle.fleet import longest_share, look_kind, work_kind
from service.lifecycle.parts import Parts

#: As many samples' labels are told as a page shows at first.
FIRST = 24


class Quote(Value):
    """`bytes` and `seconds` come from shards made before with this decoder and format; null while there are none.

    `seconds` is the time that live workers need for what is not stored, if nobody else asks for anything: that of the
    core with most to make, since a shard is made on one. Null too while no worker lives.
    """

    samples: int
    #: Of the first samples: a page shows them before anything is made.
    first_labels: list[str]
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
    stored = list(stored_shards(parts.storage, request)) if body.get("seed") is not None else []
    work, cores = parts.ledger.fleet.work(work_kind(request)), parts.ledger.fleet.cores()
    missing = request.count - sum(_samples_of(request, index) for index in stored)
    each = _bytes_each(parts.ledger.fleet, request)
    return Quote(
        samples=request.count,
        first_labels=_first_labels(request),
        shards=request.shards,
        shards_stored=len(stored),
        bytes=None if each is None else round(request.count * each),
        seconds=_seconds(request, missing, work, cores) if work.samples and cores else None,
    )


def _samples_of(request: ResolvedRequest, index: int) -> int:
    return shard_at(index, count=request.count, shard_size=request.shard_size).samples


def _seconds(request: ResolvedRequest, missing: int, work: Work, cores: int) -> float:
    longest = longest_share(missing, shard_size=request.shard_size, cores=cores)
    return round(longest * work.busy_ms / work.samples / 1000, 3)


def _bytes_each(fleet: Fleet, request: ResolvedRequest) -> float | None:
    """Of a sample: as its labels looked before at this temperature, or as the decoder's images did on the whole."""
    shares = request.labels or {request.label or "": request.count}
    looks = [look_kind(request, label) for label in shares]
    usual, *works = fleet.works([work_kind(request), *looks])
    known = [work if work.samples else usual for work in works]
    if not all(work.samples for work in known):
        return None
    each = zip(shares.values(), known, strict=True)
    return sum(count * work.bytes / work.samples for count, work in each) / request.count


def _first_labels(request: ResolvedRequest) -> list[str]:
    shown = min(FIRST, request.count)
    if request.recipe.labels is None:
        return [request.label or ""] * shown
    return first_labels(request.recipe.labels, shown)
