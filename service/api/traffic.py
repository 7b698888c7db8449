"""What this API answered: requests by route and status, and how long each was waited for."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A gauge beside every counter that says when it began: nobody asks for it, and it doubles the page.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Seconds. A submit takes a few storage round trips; a wait for an image or an outcome takes seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Traffic:
    """Counters of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "latentmill_http_requests",
            "Requests that were answered, by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "latentmill_http_request_seconds",
            "Seconds until an answer began.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "latentmill_http_requests_in_progress",
            "Requests whose answers have not ended.",
            registry=self.registry,
        )


class Counting:
    """The layer that counts. A route is named as it is written, so that ids make no series of their own."""

    def __init__(self, app: ASGIApp, *, traffic: Traffic) -> None:
        self._app, self._traffic = app, traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        began: float | None = None

        async def counted(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                status, began = message["status"], time.perf_counter()
            await send(message)

        with self._traffic.in_progress.track_inprogress():
            try:
                await self._app(scope, receive, counted)
            finally:
                self._note(scope, status, (began or time.perf_counter()) - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        # Anybody may invent a method.
        method = scope["method"] if route != "none" else "any"
        self._traffic.requests.labels(method, route, status).inc()
        self._traffic.seconds.labels(method, route).observe(seconds)
