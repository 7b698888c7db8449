"""Audit: which shards another worker makes again, and what becomes of one whose bytes differ."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import structlog

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.audit import Audit, AuditRecord
from service.contract.errors import LedgerUnavailable, ObjectMissing
from service.contract.manifest import maker_of
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

#: Keys that one record lists at most; an operator who sees so many looks at the whole store.
MOST_LISTED = 10_000


def is_chosen(recipe_digest: str, shard: Shard, share: float) -> bool:
    """Whether the shard is among the audited: by its name, so that every attempt at it is or none."""
    drawn = sha256_hex(f"audit\n{recipe_digest}\n{shard.start}".encode())[:13]
    return int(drawn, 16) < share * 16**13


def offer_audit(
    parts: Parts, job_id: str, request: ResolvedRequest, shard: Shard, *, maker: str, share: float
) -> None:
    """Ask another worker to make what `maker` has just stored, for that share of all shards. Costs nobody a job."""
    if not is_chosen(request.recipe.digest, shard, share):
        return
    try:
        ask_another(parts, Audit(job_id=job_id, shard=shard.index, maker=maker))
    except LedgerUnavailable as error:
        log.info("audit_skipped", job=job_id, shard=shard.index, reason=error.detail)


def ask_another(parts: Parts, audit: Audit) -> bool:
    """Send it to the workers; False, and counted as skipped, where all that live have been heard."""
    if not parts.ledger.audits.workers() - audit.heard or not parts.queue.send_audit(audit):
        parts.ledger.audits.note("skipped")
        return False
    return True


def record(parts: Parts, found: AuditRecord) -> None:
    """Tell it for good; quarantine the worker that is found wrong."""
    parts.ledger.audits.note("differed")
    log.error(
        "audit_differs", key=found.key, job=found.job_id, claims=found.claims, wrong=found.wrong
    )
    if found.wrong is not None:
        parts.ledger.audits.quarantine(found.wrong)
    parts.storage.put(layout.audit(found.key), found.to_json())


def stored_by(storage: Storage, worker: str, *, since: datetime) -> tuple[str, ...]:
    """Keys of the shards that a worker wrote from that moment on, a bounded number of them."""
    return tuple(islice(_stored_by(storage, worker, since), MOST_LISTED))


def _stored_by(storage: Storage, worker: str, since: datetime) -> Iterator[str]:
    for found in storage.list(layout.SHARDS):
        if found.modified_at < since:
            continue
        try:
            if maker_of(storage.head(found.key).metadata) == worker:
                yield found.key
        except ObjectMissing:
            continue
