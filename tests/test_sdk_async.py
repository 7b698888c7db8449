"""The client on an event loop: the same answers, many at once, and a loop that is never held up."""

import asyncio
import inspect
import time
from pathlib import Path

import pytest
from latentmill import AsyncClient, Client
from latentmill.errors import RequestInvalid, UnknownJob, WaitTimedOut

from service.local.stack import Stack
from tests.fixtures.stack import TINY


def test_it_has_every_method_of_the_client() -> None:
    """With the same arguments and documentation: what is new in one is new in both."""
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            twin = getattr(AsyncClient, name)
            assert list(inspect.signature(twin).parameters) == list(
                inspect.signature(method).parameters
            ), name
            assert twin.__doc__ or name == "close"


def test_twenty_jobs_at_once(stack: Stack, tmp_path: Path) -> None:
    """Submitted, awaited, read and downloaded side by side."""

    async def one(client: AsyncClient, seed: int) -> int:
        job = await client.wait(await client.submit(TINY, 3, count=50, seed=seed), poll_s=0.1)
        arrays = await client.arrays(job)
        assert (await client.image(TINY, 3, seed=seed, index=7)).startswith(b"\x89PNG")
        paths = await client.download(job, tmp_path / str(seed))
        assert paths[0].is_file()
        return len(arrays.images)

    async def all_of_them() -> list[int]:
        async with AsyncClient(stack.url) as client:
            return await asyncio.gather(*(one(client, seed) for seed in range(20)))

    assert asyncio.run(all_of_them()) == [50] * 20


def test_events_and_lists_are_iterated(stack: Stack) -> None:
    """To the end of the job, and page by page."""

    async def follow() -> list[str]:
        async with AsyncClient(stack.url) as client:
            job = await client.submit(TINY, 3, count=20_000, seed=5, tags={"by": "async"})
            seen = [str(now.status) async for now in client.events(job)]
            listed = [found.id async for found in client.jobs(tags={"by": "async"}, limit=1)]
            assert listed == [job.id]
            return seen

    assert asyncio.run(follow())[-1] == "completed"


def test_a_wait_is_cancelled_like_any_task(stack: Stack) -> None:
    """At once, though the job goes on; a wait with an end raises what the other client raises."""

    async def give_up() -> float:
        async with AsyncClient(stack.url) as client:
            job = await client.submit(TINY, 3, count=30_000_000, seed=6)
            with pytest.raises(WaitTimedOut):
                await client.wait(job, timeout_s=0.3)
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait(job, poll_s=60), timeout=0.5)
            took = time.monotonic() - started
            await client.cancel(job)
            return took

    assert asyncio.run(give_up()) < 5


def test_refusals_are_the_same_errors(stack: Stack) -> None:
    """Raised where the call is awaited."""

    async def ask() -> None:
        async with AsyncClient(stack.url) as client:
            with pytest.raises(RequestInvalid):
                await client.submit(TINY, 3, count=0)
            with pytest.raises(UnknownJob):
                await client.job("nobody-knows-it")

    asyncio.run(ask())
