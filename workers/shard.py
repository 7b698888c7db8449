"""Run one shard: begin, reuse or make, store, commit. Delivered twice, killed anywhere, it is stored once."""

import time
from dataclasses import dataclass, field
from functools import partial

import structlog

from service.adapters.ledger_values import Verdict
from service.contract import layout
from service.contract.errors import (
    DecoderRefused,
    LeaseLost,
    ObjectExists,
    OutOfMemory,
    Unavailable,
    UnknownDecoder,
)
from service.contract.manifest import ShardRecord
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard, shard_at
from service.lifecycle.audit import offer_audit
from service.lifecycle.dispatch import dispatch
from service.lifecycle.finish import finish
from service.lifecycle.fleet import look_kind, work_kind
from service.lifecycle.parts import Parts
from service.lifecycle.retention import keep_young
from workers.body import Bodies, Body
from workers.company import Company
from workers.cores import Cores
from workers.lease import Lease, Watch
from workers.make import Made, make_shard
from workers.sessions import Sessions
from workers.stored import adopt

log = structlog.get_logger(__name__)

#: Nothing a second try could change: the job fails at once, with the reason.
HOPELESS = (DecoderRefused, UnknownDecoder)

#: Waits between tries at one shard, so that a storage outage does not use the attempts up.
RETRY_S = 5.0


@dataclass(frozen=True)
class Studio:
    """What a worker process makes shards with."""

    parts: Parts
    sessions: Sessions
    watch: Watch
    bodies: Bodies
    cores: Cores
    device: str
    heartbeat_s: float
    company: Company = field(default_factory=Company)
    #: What the fleet knows this process by, and the share of its shards that another one makes again.
    name: str = ""
    audit_share: float = 0.0


def run_shard(studio: Studio, job_id: str, index: int) -> Verdict:
    """Make shard `index` of a job, or the shard that its owner wants first, unless it is made.

    A failed try is given back, not raised.
    Returns how it ended. Raises LedgerUnavailable, after which the lease brings the shard back.
    """
    chosen = studio.parts.ledger.choose(job_id, index)
    # Before BEGIN, which counts the attempt: whoever waits here must not die with a neighbour.
    with studio.company.of(was_tried=chosen.was_tried):
        return _run(studio, chosen.job_id, chosen.shard)


def _run(studio: Studio, job_id: str, index: int) -> Verdict:
    ledger = studio.parts.ledger
    lease = Lease(ledger, job_id, index, heartbeat_s=studio.heartbeat_s)
    verdict, request = ledger.begin(job_id, index, lease.token)
    if request is None:
        return _not_begun(studio.parts, job_id, verdict)
    with studio.watch.holding(lease):
        try:
            record, reused = _stored(studio, request, index, lease)
        except LeaseLost as error:
            log.info("shard_dropped", job=job_id, shard=index, reason=error.detail)
            return Verdict.STOP
        except Exception as error:
            # Whatever it was, it is recorded and bounded by attempts; nothing else would tell it.
            return _give_back(studio.parts, job_id, index, lease, error)
    return _commit(studio.parts, job_id, index, record, reused=reused)


def _not_begun(parts: Parts, job_id: str, verdict: Verdict) -> Verdict:
    if verdict == Verdict.FAIL:
        finish(parts, job_id)
    return verdict


def _stored(
    studio: Studio, request: ResolvedRequest, index: int, lease: Lease
) -> tuple[ShardRecord, bool]:
    """The record of the shard once storage holds it, and whether it did before."""
    shard = shard_at(index, count=request.count, shard_size=request.shard_size)
    key = layout.shard_of(request.recipe, shard)
    with lease.held():
        keep = partial(keep_young, studio.parts, lease.job_id, request)
        record = adopt(studio.parts.storage, key, keep=keep)
    if record is not None:
        return record, True
    log.debug("shard_making", job=lease.job_id, shard=index, key=key)
    with studio.bodies.one() as body:
        made, busy_s = _made(studio, request, shard, body, lease)
        # Before the write, so that a worker that was paused past its lease does not write for nothing.
        lease.renew()
        with lease.held():
            record = _write(studio, key, made)
    _note_work(studio.parts, request, record, busy_s=busy_s)
    offer_audit(
        *(studio.parts, lease.job_id, request, shard), maker=studio.name, share=studio.audit_share
    )
    return record, False


def _made(
    studio: Studio, request: ResolvedRequest, shard: Shard, body: Body, lease: Lease
) -> tuple[Made, float]:
    """The archive, and the seconds that it took a core."""
    with lease.held():
        decoder = studio.sessions.get(request.decoder, request.digest)
    with studio.cores.one(small=request.shards == 1, keep=lease.keep) as keep:
        started = time.monotonic()
        made = make_shard(decoder, request, shard, body, device=studio.device, keep=keep)
        return made, time.monotonic() - started


def _write(studio: Studio, key: str, made: Made) -> ShardRecord:
    """Create the object; an intact one of another writer stands and is adopted, a broken one is written over."""
    storage, metadata = studio.parts.storage, made.record.to_metadata(maker=studio.name)
    for _ in range(3):
        try:
            storage.create(key, made.data, metadata=metadata)
        except ObjectExists:
            record = adopt(storage, key)
            if record is not None:
                return record
            # Looked at again in the next round, for another may have written it too.
            storage.put(key, made.data, metadata=metadata)
        else:
            return made.record
    raise Unavailable(f"object {key} is broken again and again")


def _note_work(
    parts: Parts, request: ResolvedRequest, record: ShardRecord, *, busy_s: float
) -> None:
    kinds = [work_kind(request)]
    if request.labels is None:
        kinds.append(look_kind(request, request.label))
    parts.ledger.fleet.note_work(
        kinds,
        samples=record.samples,
        size_bytes=record.size_bytes,
        busy_ms=round(busy_s * 1000),
    )


def _give_back(parts: Parts, job_id: str, index: int, lease: Lease, error: Exception) -> Verdict:
    # MemoryError must not leave a task: Celery's thread pool would never take another one.
    told = OutOfMemory() if isinstance(error, MemoryError) else error
    reason = str(told) or repr(told)
    retry_s = None if isinstance(error, HOPELESS) else RETRY_S
    log.warning("shard_failed", job=job_id, shard=index, reason=reason, retry_s=retry_s)
    # A store that is away is nobody's fault: such a try does not count.
    counts = not isinstance(error, Unavailable)
    verdict = parts.ledger.release(
        job_id, index, lease.token, reason=reason, retry_s=retry_s, counts=counts
    )
    if verdict == Verdict.FAIL:
        finish(parts, job_id)
    return verdict


def _commit(parts: Parts, job_id: str, index: int, record: ShardRecord, *, reused: bool) -> Verdict:
    verdict = parts.ledger.commit(job_id, index, record, reused=reused)
    log.info(
        "shard_stored",
        job=job_id,
        shard=index,
        samples=record.samples,
        reused=reused,
        verdict=verdict,
    )
    if verdict == Verdict.LAST:
        finish(parts, job_id)
    # A slot is free: let the next owner's shard follow without waiting for the sweep.
    dispatch(parts, limit=2, in_passing=True)
    return verdict
