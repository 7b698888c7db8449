"""Jobs over HTTP: submit, look, list, cancel, forget, repair, quote."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from service.api.body import read_json
from service.api.callers import Caller, Reader, Submitter
from service.api.deps import Office, TheOffice
from service.api.links import address, cursor_of, entry_of, known_form, linked
from service.api.openapi import JOB_BODY
from service.api.problems import documented
from service.api.refusals import BodyTooLarge, BodyTooSlow, TooManyFailures
from service.api.watching import waited_for
from service.contract.errors import (
    DayUsedUp,
    IdempotencyConflict,
    JobNotCancellable,
    JobUnfinished,
    NothingToRepair,
    RequestInvalid,
    TooManyJobs,
    TooManyQueued,
    TooManyRequests,
    Unavailable,
    UnknownJob,
)
from service.contract.job import Job, Status
from service.contract.repair import RepairReport
from service.contract.request import MOST_TAGS
from service.contract.value import Value
from service.lifecycle.describe import describe, list_jobs
from service.lifecycle.end import cancel, forget
from service.lifecycle.quote import Quote, quote
from service.lifecycle.repair import ask_for_repair, read_repair
from service.lifecycle.submit import job_id_for, submit

router = APIRouter(prefix="/v1", tags=["jobs"])

#: Seconds a client waits between looks at a running job.
POLL_S = 1
#: Most seconds that an answer is held back for a client that prefers so: proxies cut what is silent for a minute.
LONGEST_WAIT_S = 30
_WAIT_ASKED = re.compile(r"(?:^|,)\s*wait\s*=\s*([0-9]{1,6})\s*(?:[,;]|$)", re.IGNORECASE)

Prefer = Annotated[
    str,
    Header(
        alias="Prefer",
        description=f"`wait=N`: answer when the job has ended, after N seconds at most; up to {LONGEST_WAIT_S}.",
    ),
]

_Answers = dict[int | str, dict[str, Any]]
_WAIT = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_PLACE = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
_REPLAY = {"Idempotency-Replayed": {"schema": {"type": "string", "const": "true"}}}
_PREFERENCE = {"Preference-Applied": {"schema": {"type": "string"}}}
_ACCEPTED: _Answers = {
    202: {
        "description": "Accepted; never lost from now on",
        "headers": _PLACE | _WAIT | _REPLAY | _PREFERENCE,
    }
}
_REPAIRING: _Answers = {202: {"headers": _PLACE}}
_LIMITS = (TooManyFailures, TooManyJobs, TooManyQueued, TooManyRequests, DayUsedUp)
_BODY_REFUSALS = (BodyTooLarge, BodyTooSlow, RequestInvalid, Unavailable)


class JobList(Value):
    """One page of jobs, newest first; `next` is the cursor of the following page."""

    jobs: list[Job]
    next: str | None


class JobListQuery(BaseModel):
    """Closed, so that a misspelt filter is refused and not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status | None = None
    tag: list[Annotated[str, Field(pattern=r"^[^=]{1,64}=[^=]{1,64}$")]] = Field(
        [], max_length=MOST_TAGS, description="`name=value`; given again, all must fit."
    )
    limit: int = Field(20, ge=1, le=100)
    cursor: str = Field("", description="`next` of the page before.")


@router.post(
    "/jobs",
    status_code=202,
    response_model=Job,
    openapi_extra=JOB_BODY,
    responses=_ACCEPTED | documented(*_BODY_REFUSALS, IdempotencyConflict, *_LIMITS),
)
async def submit_job(
    request: Request,
    response: Response,
    office: TheOffice,
    caller: Submitter,
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)
    ] = None,
    prefer: Prefer = "",
) -> Job:
    """Accept a job. With an `Idempotency-Key`, asking again answers for the first."""
    body = await read_json(request, max_bytes=office.settings.max_body_bytes)
    job_id = None if idempotency_key is None else job_id_for(caller.owner, idempotency_key)
    job, replayed = await run_in_threadpool(
        submit, office.parts, body, owner=caller.owner, limits=caller.limits, job_id=job_id
    )
    job = await _preferred(office, job, caller, prefer, response)
    response.headers["Location"] = address(job.id)
    if not job.status.is_terminal:
        response.headers["Retry-After"] = str(POLL_S)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return linked(job)


async def _preferred(
    office: Office, job: Job, caller: Caller, prefer: str, response: Response
) -> Job:
    """The job after the wait that the client prefers (RFC 7240), if any."""
    asked = _WAIT_ASKED.search(prefer)
    if asked is None:
        return job
    seconds = min(int(asked[1]), LONGEST_WAIT_S)
    response.headers["Preference-Applied"] = f"wait={seconds}"
    return await waited_for(office.parts, job, owner=caller.owner, seconds=seconds)


@router.post(
    "/quotes",
    response_model=Quote,
    openapi_extra=JOB_BODY,
    responses=documented(*_BODY_REFUSALS),
)
async def quote_job(request: Request, office: TheOffice, caller: Reader) -> Quote:
    """What a request would make, and what of it is stored already. Nothing is run."""
    body = await read_json(request, max_bytes=office.settings.max_body_bytes)
    return await run_in_threadpool(
        quote,
        office.parts,
        body,
        max_count=caller.limits.largest_count,
        webhook_hosts=office.settings.webhook_hosts,
    )


@router.get("/jobs", response_model=JobList, responses=documented(RequestInvalid, Unavailable))
def get_jobs(office: TheOffice, caller: Reader, query: Annotated[JobListQuery, Query()]) -> JobList:
    """The caller's jobs, newest first."""
    after = entry_of(query.cursor)
    page = list_jobs(
        office.parts,
        owner=caller.owner,
        status=query.status,
        limit=query.limit,
        after=after,
        tags=dict(tag.split("=", 1) for tag in query.tag),
    )
    return JobList(jobs=[linked(job) for job in page.jobs], next=cursor_of(page.next))


@router.get("/jobs/{job_id}", response_model=Job, responses=documented(UnknownJob, Unavailable))
async def get_job(
    job_id: str, response: Response, office: TheOffice, caller: Reader, prefer: Prefer = ""
) -> Job:
    """The job as it is now, or with `Prefer: wait=N` as soon as it has ended."""
    job = await run_in_threadpool(describe, office.parts, known_form(job_id), owner=caller.owner)
    job = await _preferred(office, job, caller, prefer, response)
    if not job.status.is_terminal:
        response.headers["Retry-After"] = str(POLL_S)
    return linked(job)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    response_model=Job,
    responses=documented(UnknownJob, JobNotCancellable, Unavailable),
)
def cancel_job(job_id: str, office: TheOffice, caller: Submitter) -> Job:
    """Stop the job; shards that are stored stay readable."""
    return linked(cancel(office.parts, known_form(job_id), owner=caller.owner))


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    responses=documented(UnknownJob, JobUnfinished, Unavailable),
)
def forget_job(job_id: str, office: TheOffice, caller: Submitter) -> None:
    """Forget a job that has ended. Its shards belong to the recipe and stay."""
    forget(office.parts, known_form(job_id), owner=caller.owner)


@router.post(
    "/jobs/{job_id}/repair",
    status_code=202,
    response_model=RepairReport,
    responses=_REPAIRING | documented(UnknownJob, NothingToRepair, Unavailable),
)
def repair_job(
    job_id: str, response: Response, office: TheOffice, caller: Submitter
) -> RepairReport:
    """Make broken or missing shards of a completed job again, with the same bytes."""
    report = ask_for_repair(office.parts, known_form(job_id), owner=caller.owner)
    response.headers["Location"] = f"{address(job_id)}/repair"
    return report


@router.get(
    "/jobs/{job_id}/repair",
    response_model=RepairReport,
    responses=documented(UnknownJob, Unavailable),
)
def get_repair(job_id: str, office: TheOffice, caller: Reader) -> RepairReport:
    """The report of the last repair."""
    report = read_repair(office.parts, known_form(job_id), owner=caller.owner)
    if report is None:
        raise UnknownJob("no repair of this job was ever asked for")
    return report
