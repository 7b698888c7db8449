"""A job's life as server-sent events (WHATWG HTML, 9.2): each event is the job as it was then."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.api.callers import Reader
from service.api.deps import TheOffice
from service.api.links import known_form, linked
from service.api.problems import documented
from service.api.watching import changes, state_of
from service.contract.errors import Unavailable, UnknownJob
from service.contract.job import Job
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Proxies cut connections on which nothing moves for a minute.
_SIGN_OF_LIFE_S = 15.0
#: Then the client comes again by itself, with its key looked at anew.
_LONGEST_S = 600.0

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` after each change, then `end`; each event's data is the job",
        "content": {"text/event-stream": {}},
    },
    204: {"description": "The job has ended, and `Last-Event-ID` says that this was seen"},
    **documented(UnknownJob, Unavailable),
}


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=_STREAM)
async def get_events(
    job_id: str,
    office: TheOffice,
    caller: Reader,
    seen: Annotated[str, Header(alias="Last-Event-ID")] = "",
) -> Response:
    """Follow a job to its end. A client that comes again, to any server, goes on from what it has seen."""
    job = await run_in_threadpool(describe, office.parts, known_form(job_id), owner=caller.owner)
    if job.status.is_terminal and seen == state_of(job):
        return Response(status_code=204)
    # nginx would hold events back to fill its buffers.
    headers = {"X-Accel-Buffering": "no"}
    events = _events(office.parts, job, owner=caller.owner, seen=seen)
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")


async def _events(parts: Parts, job: Job, *, owner: str, seen: str) -> AsyncIterator[str]:
    opened = told = time.monotonic()
    if state_of(job) != seen:
        yield _event(job)
    try:
        async for change in changes(parts, job, owner=owner):
            now = time.monotonic()
            if change is not None or now - told > _SIGN_OF_LIFE_S:
                told = now
                yield ":\n\n" if change is None else _event(change)
            if now - opened > _LONGEST_S:
                return
    except UnknownJob:
        return  # Forgotten meanwhile: whoever comes again is told so.


def _event(job: Job) -> str:
    kind = "end" if job.status.is_terminal else "progress"
    return f"event: {kind}\nid: {state_of(job)}\ndata: {linked(job).model_dump_json()}\n\n"
