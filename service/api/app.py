"""The HTTP API: chooses the real things and puts the routes together."""

import ipaddress
import signal
import sys
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from service.adapters.events import configure_logging
from service.api import decoders, downloads, health, jobs, metrics, webhooks
from service.api.answers import answer_problems
from service.api.deps import Office
from service.api.manners import Manners
from service.api.openapi import ANY_PROBLEM, describe_for_machines
from service.contract.errors import StartRefused
from service.contract.settings import ApiSettings
from service.lifecycle.parts import check_parts, open_parts


def create_app(settings: ApiSettings) -> FastAPI:
    """The ASGI application. Connects lazily: `main` checks what it needs before it serves."""
    app = FastAPI(
        title="Latentmill",
        version=version("latentmill"),
        description="The same request always gives the same bytes, and an accepted job is never lost.",
        # The pages of these would run scripts from somebody else's server.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=ANY_PROBLEM,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.office = Office(open_parts(settings), settings)
    answer_problems(app)
    app.add_middleware(Manners)
    for room in (jobs, downloads, webhooks, decoders, health, metrics):
        app.include_router(room.router)
    describe_for_machines(app)
    return app


def server_of(app: FastAPI, settings: ApiSettings) -> uvicorn.Server:
    """The HTTP server, as every Latentmill API runs it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=15,
            # A slow download must not hold up a restart; it resumes with a Range request.
            timeout_graceful_shutdown=10,
        )
    )


def main(settings: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    Raises StartRefused for a public address without keys; StorageUnavailable or LedgerUnavailable.
    """
    configure_logging(settings)
    _refuse_public(settings)
    app = create_app(settings)
    check_parts(settings, app.state.office.parts)
    # uvicorn stops in good order and then raises the signal again: being asked to stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    server = server_of(app, settings)
    server.run()
    return 0 if server.started else 1


def _refuse_public(settings: ApiSettings) -> None:
    if settings.allow_anonymous or _is_loopback(settings.host):
        return
    raise StartRefused(
        f"without keys anybody who reaches {settings.host} could use the API; listen on 127.0.0.1, "
        "or set LATENTMILL_ALLOW_ANONYMOUS=1 behind something that keeps strangers out"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
