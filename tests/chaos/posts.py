"""Many POSTs from one process, each timed; and the queue looked at meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import httpx

from service.lifecycle.dispatch import MIN_WINDOW, QUEUE_WINDOWS, WINDOW_PER_SLOT
from tests.chaos.grounds import Grounds

_LOOK_S = 0.25


@dataclass
class Posts:
    """What became of every POST. `sent_at` is by job id; `looks` are queue length and unfinished jobs by second."""

    http: httpx.AsyncClient
    seconds: list[float] = field(default_factory=list)
    sent_at: dict[str, float] = field(default_factory=dict)
    later: int = 0
    errors: list[str] = field(default_factory=list)
    looks: list[tuple[float, int, int]] = field(default_factory=list)

    async def send(self, url: str, body: dict[str, Any]) -> str | None:
        """The job's id; None when it was not accepted. A limit that is reached is waited for and is no error."""
        sent_at, began = time.time(), time.perf_counter()
        try:
            answer = await self.http.post(f"{url}/v1/jobs", json=body)
        except httpx.HTTPError as error:
            self.errors.append(repr(error))
            return None
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.later += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        elif answer.status_code != httpx.codes.ACCEPTED:
            self.errors.append(f"{answer.status_code} {answer.text[:200]}")
        else:
            self.seconds.append(time.perf_counter() - began)
            job_id = str(answer.json()["id"])
            self.sent_at[job_id] = sent_at
            return job_id
        return None

    def figures(self, grounds: Grounds) -> dict[str, Any]:
        return {
            "accepted": len(self.sent_at),
            "turned_away": self.later,
            "errors": len(self.errors),
            **percentiles("post_ms", self.seconds),
            "queue_length_most": max((length for _, length, _ in self.looks), default=0),
            "queue_length_bound": _bound(grounds),
            "unfinished_most": max((jobs for _, _, jobs in self.looks), default=0),
            "by_ten_seconds": [[round(at), length, jobs] for at, length, jobs in self.looks[::40]],
        }


@asynccontextmanager
async def posting(grounds: Grounds, *, connections: int) -> AsyncIterator[Posts]:
    """A client with so many connections, and somebody who looks at the queue."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(timeout=httpx.Timeout(60.0), limits=limits) as http:
        posts = Posts(http)
        watcher = asyncio.create_task(_watch(grounds, posts))
        yield posts
        watcher.cancel()


async def _watch(grounds: Grounds, posts: Posts) -> None:
    began, ledger, queue = time.monotonic(), grounds.parts.ledger, grounds.parts.queue
    while True:
        length = await asyncio.to_thread(queue.length)
        unfinished = await asyncio.to_thread(ledger.active_jobs)
        posts.looks.append((time.monotonic() - began, length, unfinished))
        await asyncio.sleep(_LOOK_S)


def _bound(grounds: Grounds) -> int:
    """Most messages that one dispatcher at a time would let wait."""
    return QUEUE_WINDOWS * max(MIN_WINDOW, WINDOW_PER_SLOT * grounds.parts.ledger.live_slots())


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the most, in milliseconds."""
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100)
    figures = {f"{name}_p{n}": round(cuts[n - 1] * 1000, 1) for n in (50, 95, 99)}
    return figures | {f"{name}_most": round(max(seconds) * 1000, 1)}
