"""Headers of every answer, the last resort for a fault of ours, and no service to other sites' pages."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import internal_error, problem_of
from service.api.refusals import CrossSite

_SAFE = {"GET", "HEAD", "OPTIONS"}


class Manners:
    """The outermost layer around the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        answer = _Answer(send)
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


class _Answer:
    """One answer on its way out, with headers that no route needs to think of."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_begun = send, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)
