"""What a client is told of a job: from the ledger while it moves, from storage once it has ended or Redis forgot it."""

from collections.abc import Mapping
from typing import NamedTuple

from service.adapters.ledger_values import Entry
from service.adapters.storage import Storage, exists
from service.contract import layout
from service.contract.errors import JobUnfinished, ObjectMissing, UnknownJob
from service.contract.job import Job, Outcome, Progress, Status
from service.contract.manifest import Manifest
from service.contract.request import AcceptedRequest
from service.lifecycle.parts import Parts


def describe(parts: Parts, job_id: str, *, owner: str) -> Job:
    """The job as it is now. Raises UnknownJob, also for another owner's job."""
    entry = parts.ledger.read(job_id)
    if entry is None:
        return described_from_storage(parts.storage, job_id, owner=owner)
    if entry.owner != owner:
        raise UnknownJob
    return _from_ledger(job_id, entry)


def _from_ledger(job_id: str, entry: Entry) -> Job:
    return Job(
        id=job_id,
        status=entry.status,
        request=entry.request,
        progress=entry.progress,
        tags=entry.tags,
        priority=entry.priority,
        created_at=entry.created_at,
        expires_at=entry.expires_at,
        started_at=entry.started_at,
        finished_at=entry.finished_at,
        error=entry.error,
    )


def described_from_storage(storage: Storage, job_id: str, *, owner: str) -> Job:
    """The job without asking Redis: as it ended, or as it was accepted. Raises UnknownJob."""
    job = read_request(storage, job_id)
    if job.owner != owner:
        raise UnknownJob
    outcome = read_outcome(storage, job_id)
    if outcome is None and exists(storage, layout.active(job_id)):
        return _accepted(job)
    # Looked for again: a finisher may have written the outcome and taken the marker away between the two looks.
    outcome = outcome or read_outcome(storage, job_id)
    if outcome is None:
        # A request without a marker was cut off before its 202: nobody was ever told this id.
        raise UnknownJob
    return _ended(job, outcome)


def read_request(storage: Storage, job_id: str) -> AcceptedRequest:
    """Raises UnknownJob."""
    try:
        return AcceptedRequest.model_validate_json(storage.get(layout.job_request(job_id)))
    except ObjectMissing as error:
        raise UnknownJob from error


def read_outcome(storage: Storage, job_id: str) -> Outcome | None:
    try:
        return Outcome.model_validate_json(storage.get(layout.job_outcome(job_id)))
    except ObjectMissing:
        return None


def read_manifest(parts: Parts, job_id: str, *, owner: str) -> Manifest:
    """Raises UnknownJob, or JobUnfinished while there is none (a failed or cancelled job never has one)."""
    job = describe(parts, job_id, owner=owner)
    if job.status != Status.COMPLETED:
        raise JobUnfinished(f"the job is {job.status}; only a completed job has a manifest")
    return Manifest.model_validate_json(parts.storage.get(layout.job_manifest(job_id)))


def _accepted(job: AcceptedRequest) -> Job:
    """A job that storage knows and the ledger does not know yet."""
    request = job.resolved
    return Job(
        id=job.id,
        status=Status.QUEUED,
        request=request,
        progress=Progress(samples_total=request.count, shards_total=request.shards)
        if request
        else Progress(),
        tags=job.tags,
        priority=job.priority,
        created_at=job.created_at,
        expires_at=job.expires_at,
    )


def _ended(job: AcceptedRequest, outcome: Outcome) -> Job:
    return Job(
        id=job.id,
        status=outcome.status,
        request=job.resolved,
        progress=outcome.progress,
        tags=job.tags,
        priority=job.priority,
        created_at=job.created_at,
        expires_at=job.expires_at,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        error=outcome.error,
    )


class Page(NamedTuple):
    """Jobs, newest first, and where the next page begins."""

    jobs: list[Job]
    next: str | None


#: A status that few jobs have must not make one call read the whole log.
MAX_LOOKED_AT = 1000


def list_jobs(
    parts: Parts,
    *,
    owner: str,
    status: Status | None,
    limit: int,
    after: str,
    tags: Mapping[str, str] | None = None,
) -> Page:
    """A page of an owner's jobs with that status and all of these tags.

    `after` is the log entry that the last page ended with.
    """
    wanted = (tags or {}).items()
    prefix = layout.log_prefix(owner)
    jobs: list[Job] = []
    for looked_at, entry in enumerate(
        parts.storage.list(prefix, after=prefix + after if after else ""), 1
    ):
        job = _described_or_none(parts, layout.job_of_log_entry(entry.key), owner=owner)
        if job is not None and status in (None, job.status) and wanted <= job.tags.items():
            jobs.append(job)
        if len(jobs) == limit or looked_at == MAX_LOOKED_AT:
            return Page(jobs, entry.key.removeprefix(prefix))
    return Page(jobs, None)


def _described_or_none(parts: Parts, job_id: str, *, owner: str) -> Job | None:
    try:
        return describe(parts, job_id, owner=owner)
    except UnknownJob:
        return None
