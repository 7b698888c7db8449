"""Headers of every answer, the last resort for a fault of ours, and no service to other sites' pages."""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from service.api.problems import internal_error, problem_of
from service.api.refusals import CrossSite

_SAFE = {"GET", "HEAD", "OPTIONS"}

#: No answer is guessed at, kept, framed, run as a page, or read by another site's page; no address is passed on.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
#: Behind TLS only, where uvicorn believes a proxy on this machine: on plain http browsers must ignore it (RFC 6797).
_HSTS = "max-age=31536000"
#: A caller's own id of a request, so that both sides' logs tell of one.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Manners:
    """The outermost layer around the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        answer = _Answer(send, request_id, is_secure=scope["scheme"] == "https")
        with bound_contextvars(request=request_id):
            await self._serve(scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            if _is_from_another_site(scope):
                return await problem_of(CrossSite())(scope, receive, answer.send)
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.has_begun:
                raise
            await internal_error(error)(scope, receive, answer.send)


def _is_from_another_site(scope: Scope) -> bool:
    """Without keys a page open in the same browser could otherwise order jobs from a loopback API."""
    site = Headers(scope=scope).get("Sec-Fetch-Site", "none")
    return scope["method"] not in _SAFE and site not in ("same-origin", "none")


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class _Answer:
    """One answer on its way out, with headers that no route needs to think of."""

    def __init__(self, send: Send, request_id: str, *, is_secure: bool) -> None:
        self._send, self._request_id, self._is_secure = send, request_id, is_secure
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            for name, value in SAFE.items():
                headers.setdefault(name, value)
            if self._is_secure:
                headers.setdefault("Strict-Transport-Security", _HSTS)
        await self._send(message)
