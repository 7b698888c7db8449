"""How a client waits for a job, whether it sleeps or awaits."""

import time
from collections.abc import Iterator

from service.contract.errors import JobCancelled, JobFailed, WaitTimedOut
from service.contract.job import Job, Status

_FIRST_LOOK_S = 0.02


def pauses(timeout_s: float | None, poll_s: float) -> Iterator[float]:
    """Seconds to wait after each look at a job, few at first; the last look is at the deadline."""
    deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    pause_s = min(_FIRST_LOOK_S, poll_s)
    left_s = deadline - time.monotonic()
    while left_s > 0:
        yield min(pause_s, left_s)
        left_s, pause_s = deadline - time.monotonic(), min(poll_s, pause_s * 1.3)
    yield 0.0


def timed_out(job: str | Job, timeout_s: float | None) -> WaitTimedOut:
    job_id = job if isinstance(job, str) else job.id
    return WaitTimedOut(f"job {job_id} has not ended after {timeout_s} s; it goes on")


def completed(job: Job) -> Job:
    if job.status == Status.FAILED:
        raise JobFailed(f"job {job.id} failed: {job.error}")
    if job.status == Status.CANCELLED:
        raise JobCancelled(f"job {job.id} was cancelled")
    return job
