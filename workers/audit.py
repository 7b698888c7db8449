"""Audit a shard that another worker stored: make it again, compare, and find out who is wrong."""

import time
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from service.adapters.storage import StoredObject
from service.contract import layout
from service.contract.audit import Audit, AuditRecord
from service.contract.errors import ObjectMissing, UnknownJob
from service.contract.manifest import Profile, ShardRecord, maker_of
from service.contract.request import ResolvedRequest
from service.contract.shard import Shard, shard_at
from service.lifecycle.audit import ask_another, record, stored_by
from service.lifecycle.describe import read_request
from workers.errand import Errand
from workers.make import make_shard
from workers.shard import Studio
from workers.stored import put_aside

log = structlog.get_logger(__name__)

#: Workers that may take the message in vain; each waits a little longer before it passes it on.
MOST_PASSED_ON = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
#: Until then a quarantined worker has seen it and ended, so that all it stored is found.
SEEN_S = 3.0


class Subject(NamedTuple):
    """The shard as it is stored."""

    request: ResolvedRequest
    shard: Shard
    key: str
    stored: StoredObject
    record: ShardRecord


def audit_shard(studio: Studio, arguments: dict[str, object], *, seen_s: float = SEEN_S) -> None:
    """Judge the shard, or pass the message on. Nothing is promised: an audit that fails is told and over."""
    try:
        audit = Audit.model_validate(arguments)
    except ValidationError as error:
        log.error("audit_refused", reason=error.errors()[0]["msg"])
        return
    try:
        _audit(studio, audit, seen_s=seen_s)
    except Exception as error:
        # MemoryError among them: it must not leave a task.
        log.warning(
            "audit_failed", job=audit.job_id, shard=audit.shard, reason=str(error) or repr(error)
        )


def _audit(studio: Studio, audit: Audit, *, seen_s: float) -> None:
    subject = _subject(studio, audit)
    if subject is None:
        studio.parts.ledger.audits.note("skipped")
        return None
    if studio.name in audit.heard:
        return _pass_on(studio, audit, subject)
    made = _make(studio, audit, subject)
    if made.profile != subject.record.profile:
        return _pass_on(studio, audit, subject)
    claims = _claims(audit, subject) | {studio.name: made.sha256}
    if len(set(claims.values())) == 1:
        studio.parts.ledger.audits.note("agreed")
        log.info("audit_agrees", key=subject.key, maker=audit.maker)
        return None
    if audit.second is None:
        return _ask_a_third(studio, audit, subject, made)
    return _judge(studio, subject, audit, claims, seen_s=seen_s)


def _subject(studio: Studio, audit: Audit) -> Subject | None:
    """None when the shard is gone, or somebody else's by now."""
    storage = studio.parts.storage
    try:
        request = read_request(storage, audit.job_id).resolved
        if request is None:
            return None
        shard = shard_at(audit.shard, count=request.count, shard_size=request.shard_size)
        key = layout.shard_of(request.recipe, shard)
        stored = storage.head(key)
        found = ShardRecord.from_metadata(stored.metadata, size_bytes=stored.size_bytes)
    except (UnknownJob, ObjectMissing, IndexError, KeyError, ValueError):
        return None
    if maker_of(stored.metadata) != audit.maker:
        return None
    return Subject(request, shard, key, stored, found)


def _make(studio: Studio, audit: Audit, subject: Subject) -> ShardRecord:
    name = f"audit:{audit.job_id}:{audit.shard}:{studio.name}"
    errand = Errand(studio.parts.ledger, name, heartbeat_s=studio.heartbeat_s)
    request = subject.request
    with studio.watch.minding(errand), studio.bodies.one() as body:
        decoder = studio.sessions.get(request.decoder, request.digest)
        with studio.cores.one(small=False, keep=errand.look_up) as pause:
            return make_shard(
                *(decoder, request, subject.shard, body), device=studio.device, keep=pause
            ).record


def _claims(audit: Audit, subject: Subject) -> dict[str, str]:
    claims = {audit.maker: subject.record.sha256}
    if audit.second is not None and audit.second_sha256 is not None:
        claims[audit.second] = audit.second_sha256
    return claims


def _pass_on(studio: Studio, audit: Audit, subject: Subject) -> None:
    """To whoever takes it next; the message may meet the same worker a few times while the others are busy."""
    if audit.passed_on < MOST_PASSED_ON:
        time.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**audit.passed_on))
        if ask_another(studio.parts, audit.model_copy(update={"passed_on": audit.passed_on + 1})):
            return
    else:
        studio.parts.ledger.audits.note("skipped")
    if audit.second is not None:
        # There was a third when the message was sent; who differed is told all the same.
        record(studio.parts, _found(studio, subject, audit, _claims(audit, subject), wrong=None))


def _ask_a_third(studio: Studio, audit: Audit, subject: Subject, made: ShardRecord) -> None:
    asked = audit.model_copy(
        update={"second": studio.name, "second_sha256": made.sha256, "passed_on": 0}
    )
    others = studio.parts.ledger.audits.workers() - asked.heard
    if not others or not studio.parts.queue.send_audit(asked):
        record(studio.parts, _found(studio, subject, asked, _claims(asked, subject), wrong=None))


def _judge(
    studio: Studio, subject: Subject, audit: Audit, claims: dict[str, str], *, seen_s: float
) -> None:
    """Two of three agree; where none do, everybody is suspected."""
    agreed = [sha256 for sha256 in claims.values() if list(claims.values()).count(sha256) == 2]
    wrong = next((worker for worker in claims if agreed and claims[worker] != agreed[0]), None)
    found = _found(studio, subject, audit, claims, wrong=wrong)
    record(studio.parts, found)
    if wrong is None:
        return
    if wrong == audit.maker:
        _take_away(studio, subject)
    time.sleep(seen_s)
    later = stored_by(studio.parts.storage, wrong, since=subject.stored.modified_at)
    told = found.model_copy(update={"later_shards": later})
    studio.parts.storage.put(layout.audit(subject.key), told.to_json())


def _take_away(studio: Studio, subject: Subject) -> None:
    """Nobody reuses bytes that are known to be wrong; whoever asks for them again gets the right ones."""
    storage = studio.parts.storage
    try:
        if storage.head(subject.key).metadata == subject.stored.metadata:
            put_aside(storage, subject.key, storage.get(subject.key))
    except ObjectMissing:
        return


def _found(
    studio: Studio, subject: Subject, audit: Audit, claims: dict[str, str], *, wrong: str | None
) -> AuditRecord:
    profile: Profile = subject.record.profile
    return AuditRecord(
        key=subject.key,
        job_id=audit.job_id,
        shard=audit.shard,
        profile=profile.id,
        claims=claims,
        wrong=wrong,
        found_at=studio.parts.clock(),
    )
