"""Jobs over HTTP: submit, look, list, cancel, forget, repair, quote."""

import base64
import binascii
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api.body import read_json
from service.api.deps import Owner, TheOffice
from service.contract.errors import Fault, RequestInvalid, UnknownJob
from service.contract.job import Job, Status
from service.contract.repair import RepairReport
from service.contract.request import JOB_ID, JobRequest
from service.contract.value import Value
from service.lifecycle.describe import describe, list_jobs
from service.lifecycle.end import cancel, forget
from service.lifecycle.quote import Quote, quote
from service.lifecycle.repair import ask_for_repair, read_repair
from service.lifecycle.submit import job_id_for, submit

router = APIRouter(prefix="/v1", tags=["jobs"])

#: Seconds a client waits between looks at a running job.
POLL_S = 1

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": JobRequest.model_json_schema()}},
    }
}


class JobList(Value):
    """One page of jobs, newest first; `next` is the cursor of the following page."""

    jobs: list[Job]
    next: str | None


@router.post("/jobs", status_code=202, response_model=Job, openapi_extra=_BODY)
async def submit_job(
    request: Request,
    response: Response,
    office: TheOffice,
    owner: Owner,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Job:
    """Accept a job. With an `Idempotency-Key`, asking again answers for the first."""
    body = await read_json(request, max_bytes=office.settings.max_body_bytes)
    job_id = None if idempotency_key is None else job_id_for(owner, idempotency_key)
    job, replayed = await run_in_threadpool(
        submit, office.parts, body, owner=owner, limits=office.limits, job_id=job_id
    )
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    response.headers["Retry-After"] = str(POLL_S)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return linked(job)


@router.post("/quotes", response_model=Quote, openapi_extra=_BODY)
async def quote_job(request: Request, office: TheOffice) -> Quote:
    """What a request would make, and what of it is stored already. Nothing is run."""
    body = await read_json(request, max_bytes=office.settings.max_body_bytes)
    return await run_in_threadpool(quote, office.parts, body, max_count=office.settings.max_count)


@router.get("/jobs", response_model=JobList)
def get_jobs(
    office: TheOffice,
    owner: Owner,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str = "",
) -> JobList:
    """The caller's jobs, newest first."""
    page = list_jobs(office.parts, owner=owner, status=status, limit=limit, after=_entry_of(cursor))
    return JobList(jobs=[linked(job) for job in page.jobs], next=_cursor_of(page.next))


@router.get("/jobs/{job_id}", response_model=Job)
def get_job(job_id: str, response: Response, office: TheOffice, owner: Owner) -> Job:
    """The job as it is now."""
    job = describe(office.parts, known_form(job_id), owner=owner)
    if not job.status.is_terminal:
        response.headers["Retry-After"] = str(POLL_S)
    return linked(job)


@router.post("/jobs/{job_id}/cancel", status_code=202, response_model=Job)
def cancel_job(job_id: str, office: TheOffice, owner: Owner) -> Job:
    """Stop the job; shards that are stored stay readable."""
    return linked(cancel(office.parts, known_form(job_id), owner=owner))


@router.delete("/jobs/{job_id}", status_code=204)
def forget_job(job_id: str, office: TheOffice, owner: Owner) -> None:
    """Forget a job that has ended. Its shards belong to the recipe and stay."""
    forget(office.parts, known_form(job_id), owner=owner)


@router.post("/jobs/{job_id}/repair", status_code=202, response_model=RepairReport)
def repair_job(job_id: str, response: Response, office: TheOffice, owner: Owner) -> RepairReport:
    """Make broken or missing shards of a completed job again, with the same bytes."""
    response.headers["Location"] = f"/v1/jobs/{job_id}/repair"
    return ask_for_repair(office.parts, known_form(job_id), owner=owner)


@router.get("/jobs/{job_id}/repair", response_model=RepairReport)
def get_repair(job_id: str, office: TheOffice, owner: Owner) -> RepairReport:
    """The report of the last repair."""
    report = read_repair(office.parts, known_form(job_id), owner=owner)
    if report is None:
        raise UnknownJob("no repair of this job was ever asked for")
    return report


def known_form(job_id: str) -> str:
    """An id that no job can have is an unknown job, and never part of an object key."""
    if not re.fullmatch(JOB_ID, job_id):
        raise UnknownJob
    return job_id


def linked(job: Job) -> Job:
    """The job with the addresses of what can be done with it."""
    here = f"/v1/jobs/{job.id}"
    links = {"self": here}
    if not job.status.is_terminal:
        links["cancel"] = f"{here}/cancel"
    if job.request is not None:
        links["shards"] = f"{here}/shards/{{index}}"
    if job.status == Status.COMPLETED:
        links |= {"manifest": f"{here}/manifest", "repair": f"{here}/repair"}
    return job.model_copy(update={"links": links})


def _cursor_of(entry: str | None) -> str | None:
    return None if entry is None else base64.urlsafe_b64encode(entry.encode()).decode()


def _entry_of(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise RequestInvalid([Fault("/cursor", "not a cursor of this list")]) from error
