"""Submit: from a body to an accepted job. After it returns, the job is never lost.

Order: reserve a place (Redis) -> request.json (storage, decides) -> marker and log -> ledger -> a hint to a worker.
A refused submit has written nothing; an interrupted one is resumed by its replay, or never told anybody its id.
"""

import hashlib
import uuid
from datetime import timedelta
from typing import Any, NamedTuple

import structlog

from service.adapters.ledger_values import Verdict
from service.adapters.storage import create_or_keep, exists
from service.contract import layout
from service.contract.errors import (
    IdempotencyConflict,
    LedgerUnavailable,
    Unavailable,
    UnknownJob,
)
from service.contract.job import Job
from service.contract.limits import Limits
from service.contract.request import AcceptedRequest, Priority
from service.contract.value import canonical_json, sha256_hex
from service.lifecycle.check import check_request
from service.lifecycle.describe import describe, described_from_storage, read_request
from service.lifecycle.dispatch import dispatch
from service.lifecycle.limits import refusal_of
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

#: Who asks when the API runs without keys.
ANONYMOUS = "anonymous"


class Submitted(NamedTuple):
    job: Job
    replayed: bool


def job_id_for(owner: str, idempotency_key: str) -> str:
    """One owner's key always names one job; another owner's same key names another."""
    return hashlib.sha256(f"{owner}\n{idempotency_key}".encode()).hexdigest()[:32]


def submit(
    parts: Parts, body: Any, *, owner: str, limits: Limits, job_id: str | None = None
) -> Submitted:
    """Accept a job, or answer for the one that an earlier submit with this `job_id` made.

    Raises RequestInvalid, LimitReached, IdempotencyConflict, StorageUnavailable, LedgerUnavailable; each of them
    leaves no job behind.
    """
    earlier = None if job_id is None else _earlier(parts, job_id)
    if earlier is not None and earlier.resolved is not None:
        # A replay is neither checked nor charged again: the decoder or the limits may be others by now.
        _refuse_other(earlier, owner=owner, given_sha256=_digest(body))
        return _replayed(parts, earlier)
    offer = _offer(parts, body, owner=owner, limits=limits, job_id=job_id)
    _reserve(parts, offer, limits)
    standing = _decide(parts, offer)
    if standing is not offer:
        return _replayed(parts, standing)
    _enter(parts, standing)
    return Submitted(_answer(parts, standing), replayed=False)


def _earlier(parts: Parts, job_id: str) -> AcceptedRequest | None:
    try:
        return read_request(parts.storage, job_id)
    except UnknownJob:
        return None


def _reserve(parts: Parts, offer: AcceptedRequest, limits: Limits) -> None:
    assert offer.resolved is not None
    admission = parts.ledger.admit(
        offer.id, owner=offer.owner, samples=offer.resolved.count, limits=limits
    )
    if admission.verdict == Verdict.BUSY:
        raise refusal_of(admission, limits)


def _offer(
    parts: Parts, body: Any, *, owner: str, limits: Limits, job_id: str | None
) -> AcceptedRequest:
    resolved, _ = check_request(
        parts.storage, body, max_count=limits.largest_count, webhook_hosts=limits.webhook_hosts
    )
    created_at, expires_in_s = parts.clock(), body.get("expires_in_s")
    return AcceptedRequest(
        id=job_id or uuid.uuid4().hex,
        owner=owner,
        given=body,
        given_sha256=_digest(body),
        resolved=resolved,
        webhook=body.get("webhook"),
        tags=body.get("tags") or {},
        priority=body.get("priority") or Priority.NORMAL,
        expires_at=None if expires_in_s is None else created_at + timedelta(seconds=expires_in_s),
        created_at=created_at,
    )


def _digest(body: Any) -> str:
    return sha256_hex(canonical_json(body))


def _refuse_other(job: AcceptedRequest, *, owner: str, given_sha256: str) -> None:
    if (job.owner, job.given_sha256) != (owner, given_sha256):
        raise IdempotencyConflict


def _replayed(parts: Parts, job: AcceptedRequest) -> Submitted:
    """Answer for an accepted job, completing its submit if that was cut off."""
    if job.resolved is None or exists(parts.storage, layout.job_outcome(job.id)):
        _withdraw_quietly(parts, job)
    else:
        _enter(parts, job)
    return Submitted(_answer(parts, job), replayed=True)


def _decide(parts: Parts, offer: AcceptedRequest) -> AcceptedRequest:
    """Of any number of submits with one id, the first to write request.json is the job."""
    written = offer.to_json()
    try:
        stored = create_or_keep(parts.storage, layout.job_request(offer.id), written)
    except Unavailable:
        _withdraw_quietly(parts, offer)
        raise
    if stored is written:
        return offer
    standing = AcceptedRequest.model_validate_json(stored)
    try:
        _refuse_other(standing, owner=offer.owner, given_sha256=offer.given_sha256)
    except IdempotencyConflict:
        _withdraw_quietly(parts, offer)
        raise
    return standing


def _withdraw_quietly(parts: Parts, offer: AcceptedRequest) -> None:
    samples = 0 if offer.resolved is None else offer.resolved.count
    try:
        parts.ledger.withdraw(offer.id, owner=offer.owner, samples=samples)
    except LedgerUnavailable:
        log.info("reservation_left_to_expire", job=offer.id)


def _enter(parts: Parts, job: AcceptedRequest) -> None:
    """Idempotent: a replay repeats it, and so completes a submit that was cut off."""
    if job.webhook is not None:
        # First: a job that can run to its end before this is written would end without telling.
        parts.storage.put(layout.webhook(job.id), b"")
    # The marker goes last: it brings the job to life, and what lives must be listed.
    parts.storage.put(layout.log_entry(job.owner, job.created_at, job.id), b"")
    parts.storage.put(layout.active(job.id), b"")
    enter_ledger(parts, job)
    log.info("job_accepted", job=job.id, owner=job.owner)


def enter_ledger(parts: Parts, job: AcceptedRequest, *, stored: tuple[int, ...] = ()) -> None:
    """Make the ledger know an accepted job. When Redis is away the sweep does it later: storage has the job."""
    assert job.resolved is not None
    try:
        if job.webhook is not None:
            parts.ledger.webhooks.expect(job.id)
        parts.ledger.create(
            job.id,
            owner=job.owner,
            request=job.resolved,
            created_at=job.created_at,
            stored=stored,
            tags=job.tags,
            priority=job.priority,
            expires_at=job.expires_at,
        )
        dispatch(parts, limit=4, in_passing=True)
    except LedgerUnavailable as error:
        log.warning("job_waits_for_redis", job=job.id, reason=str(error))


def _answer(parts: Parts, job: AcceptedRequest) -> Job:
    try:
        return describe(parts, job.id, owner=job.owner)
    except LedgerUnavailable:
        return described_from_storage(parts.storage, job.id, owner=job.owner)
