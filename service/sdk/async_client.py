"""The client for programs on an event loop: the same methods, awaited.

Each call runs in a thread of the loop's, so it retries, resumes and checks as `Client` does; a wait holds none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from latentmill.client import Client
from latentmill.waiting import completed, pauses, timed_out

from service.contract.job import Job

_P = ParamSpec("_P")
_Result = TypeVar("_Result")
_END: Any = object()


def _awaited(
    method: Callable[Concatenate[Client, _P], _Result],
) -> "Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _Result]]":
    async def call(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> _Result:
        return await asyncio.to_thread(method, self._client, *args, **kwargs)

    update_wrapper(call, method)
    return call


def _iterated(
    method: Callable[Concatenate[Client, _P], Iterator[_Result]],
) -> "Callable[Concatenate[AsyncClient, _P], AsyncIterator[_Result]]":
    async def each(
        self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AsyncIterator[_Result]:
        items = method(self._client, *args, **kwargs)
        while (item := await asyncio.to_thread(next, items, _END)) is not _END:
            yield item

    update_wrapper(each, method)
    return each


class AsyncClient:
    """`Client` for asyncio; its arguments, methods and errors. Use it as an asynchronous context manager."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
    ) -> None:
        self._client = Client(url, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    close = _awaited(Client.close)
    submit = _awaited(Client.submit)
    quote = _awaited(Client.quote)
    job = _awaited(Client.job)
    jobs = _iterated(Client.jobs)
    events = _iterated(Client.events)
    cancel = _awaited(Client.cancel)
    overlap = _awaited(Client.overlap)
    forget = _awaited(Client.forget)
    manifest = _awaited(Client.manifest)
    download = _awaited(Client.download)
    arrays = _awaited(Client.arrays)
    verify = _awaited(Client.verify)
    proof = _awaited(Client.proof)
    croissant = _awaited(Client.croissant)
    repair = _awaited(Client.repair)
    repair_report = _awaited(Client.repair_report)
    image = _awaited(Client.image)
    decoders = _awaited(Client.decoders)

    async def wait(
        self,
        job: str | Job,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.5,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """The completed job; cancelled like any other task, while the job goes on.

        Raises JobFailed, JobCancelled, or after `timeout_s` seconds WaitTimedOut.
        """
        for pause_s in pauses(timeout_s, poll_s):
            now = await self.job(job)
            if on_progress is not None:
                on_progress(now)
            if now.status.is_terminal:
                return completed(now)
            await asyncio.sleep(pause_s)
        raise timed_out(job, timeout_s)
