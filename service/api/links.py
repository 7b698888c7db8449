"""Ids and cursors as they come from outside, and the addresses that jobs are given."""

import base64
import binascii
import re

from service.contract.errors import Fault, RequestInvalid, UnknownJob
from service.contract.job import Job, Status
from service.contract.request import JOB_ID

#: A log entry's name: inverted milliseconds and the job's id. It becomes part of an object key.
_ENTRY = re.compile(r"[0-9]{13}-[A-Za-z0-9_-]{8,64}")


def known_form(job_id: str) -> str:
    """An id that no job can have is an unknown job, and never part of an object key."""
    if not re.fullmatch(JOB_ID, job_id):
        raise UnknownJob
    return job_id


def linked(job: Job) -> Job:
    """The job with the addresses of what can be done with it."""
    here = address(job.id)
    links = {"self": here}
    if job.status.wants_shards:
        links |= {"cancel": f"{here}/cancel", "estimate": f"{here}/estimate"}
    if job.request is not None:
        links |= {"shards": f"{here}/shards/{{index}}", "events": f"{here}/events"}
    if job.status == Status.COMPLETED:
        links |= {name: f"{here}/{name}" for name in ("manifest", "croissant", "repair")}
    return job.model_copy(update={"links": links})


def address(job_id: str) -> str:
    return f"/v1/jobs/{job_id}"


def cursor_of(entry: str | None) -> str | None:
    return None if entry is None else base64.urlsafe_b64encode(entry.encode()).decode()


def entry_of(cursor: str) -> str:
    """The log entry that a page ended with; '' for the first page. Raises RequestInvalid."""
    try:
        entry = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii")
    # ValueError: a cursor that is not ASCII itself.
    except (binascii.Error, ValueError) as error:
        raise _not_a_cursor() from error
    if entry and not _ENTRY.fullmatch(entry):
        raise _not_a_cursor()
    return entry


def _not_a_cursor() -> RequestInvalid:
    return RequestInvalid([Fault("/cursor", "not a cursor of this list")])
