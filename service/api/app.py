"""The HTTP API: chooses the real things and puts the routes together."""

import ipaddress
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from service.adapters.events import configure_logging
from service.api import decoders, downloads, health, jobs
from service.api.deps import Office
from service.api.problems import answer_problems
from service.contract.errors import StartRefused
from service.contract.settings import ApiSettings
from service.lifecycle.parts import check_parts, open_parts


def create_app(settings: ApiSettings) -> FastAPI:
    """The ASGI application. Connects lazily: `main` checks what it needs before it serves."""
    app = FastAPI(
        title="Latentmill",
        version=version("latentmill"),
        description="The same request always gives the same bytes, and an accepted job is never lost.",
    )
    app.state.office = Office(open_parts(settings), settings)
    answer_problems(app)
    for room in (jobs, downloads, decoders, health):
        app.include_router(room.router)
    return app


def main(settings: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    Raises StartRefused for a public address without keys; StorageUnavailable or LedgerUnavailable.
    """
    configure_logging(settings)
    _refuse_public(settings)
    app = create_app(settings)
    check_parts(settings, app.state.office.parts)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
    )
    return 0


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
