"""Watches a job while a client waits for it: no thread is held between two looks."""

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from service.contract.errors import Unavailable
from service.contract.job import Job
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts

#: Often while something happens, seldom while nothing does.
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 1.0


def state_of(job: Job) -> str:
    """What a watcher has seen of the job when it has seen this; another state has another name."""
    return f"{job.status}.{job.progress.samples_done}"


async def changes(parts: Parts, job: Job, *, owner: str) -> AsyncIterator[Job | None]:
    """The job after each change, ending with its end; None for each look that found nothing new.

    An outage is waited out. Raises UnknownJob when the job is forgotten meanwhile.
    """
    pause_s = _FIRST_LOOK_S
    while not job.status.is_terminal:
        await asyncio.sleep(pause_s)
        now = await _look(parts, job, owner)
        if state_of(now) == state_of(job):
            pause_s = min(_LONGEST_LOOK_S, pause_s * 1.3)
            yield None
        else:
            job, pause_s = now, _FIRST_LOOK_S
            yield job


async def waited_for(parts: Parts, job: Job, *, owner: str, seconds: float) -> Job:
    """The job when it has ended, or as it is after so long. Raises UnknownJob."""
    deadline = time.monotonic() + seconds
    async for change in changes(parts, job, owner=owner):
        job = change or job
        if time.monotonic() >= deadline:
            break
    return job


async def _look(parts: Parts, job: Job, owner: str) -> Job:
    try:
        return await run_in_threadpool(describe, parts, job.id, owner=owner)
    except Unavailable:
        return job
