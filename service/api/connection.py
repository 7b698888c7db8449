"""One HTTP connection that nobody keeps by being slow, and that makes room for others when all are taken."""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.manners import SAFE
from service.api.problems import problem

#: Largest head of a request, line and headers together; ours are a few hundred bytes.
MAX_HEAD_BYTES = 16 * 1024
#: For the whole head of a request once a byte of it is here, and for the first on a new connection.
HEAD_S = 10.0
#: For a client to take some of what was written to it; a download over a phone moves every second.
TAKE_S = 60.0
#: For a client to read why it was refused.
LINGER_S = 1.0


class Connection(H11Protocol):
    """uvicorn's protocol, which alone waits for ever for a head that does not end and for a client that does not read.

    `limit_concurrency` is the most connections at once plus one, for uvicorn refuses at it and not above it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._take_timer: asyncio.TimerHandle | None = None
        self.idle_since, self._is_refused = 0.0, False

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        is_full = (
            self.limit_concurrency is not None
            and len(self.connections) >= self.limit_concurrency - 1
            and not self._make_room()
        )
        super().connection_made(transport)
        self._note_idle()
        if is_full:
            busy = problem(503, "busy", "Too many connections", "Come again in a moment.")
            busy.headers["Retry-After"] = "1"
            self._refuse(busy)

    def _make_room(self) -> bool:
        """Cut the connection that has been idle longest, if there is one: a slow one, or one kept for later."""
        idle = [one for one in self.connections if isinstance(one, Connection) and one.is_idle]
        if not idle:
            return False
        oldest = min(idle, key=lambda one: one.idle_since)
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if self.is_idle:
            self._note_idle()
        else:
            self._head_timer = _stop(self._head_timer)

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def _note_idle(self) -> None:
        if self._head_timer is None:
            self.idle_since = self.loop.time()
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._take_timer is None:
            self._take_timer = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_timer = _stop(self._take_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_timer = _stop(self._head_timer)
        self._take_timer = _stop(self._take_timer)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Of what is no HTTP request, as a problem like every other refusal."""
        if self.is_idle:
            self._refuse(problem(400, "malformed-request", "Not an HTTP/1.1 request", msg))
        else:
            # In the middle of an answer there is no room for another.
            self.transport.abort()

    def _refuse(self, answer: Response) -> None:
        """By hand: no request was read that an application could answer."""
        answer.headers.update(SAFE | {"Connection": "close"})
        head = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
        head += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        # Closed with bytes unread, it would be reset, and the answer lost with them.
        self.transport.write_eof()
        self._is_refused = True
        self.loop.call_later(LINGER_S, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Cancel a timer that may run; what it leaves is none."""
    if timer is not None:
        timer.cancel()
    return None
