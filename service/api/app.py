"""The HTTP API: chooses the real things and puts the routes together."""

import ipaddress
import signal
import sys
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from service.adapters.events import configure_logging
from service.adapters.storage import Storage
from service.api import (
    decoders,
    downloads,
    events,
    fleet,
    health,
    images,
    jobs,
    metrics,
    pages,
    webhooks,
)
from service.api.answers import answer_problems
from service.api.callers import KEY_REFUSALS
from service.api.connection import MAX_HEAD_BYTES, Connection
from service.api.deps import Office
from service.api.manners import Manners
from service.api.openapi import ANY_PROBLEM, describe_for_machines
from service.api.traffic import Counting
from service.contract.errors import StartRefused
from service.contract.settings import ApiSettings
from service.lifecycle.keyring import Keyring
from service.lifecycle.keys import any_keys
from service.lifecycle.parts import Parts, check_parts, open_parts


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
    parts = open_parts(settings)
    # Without one where strangers listen, even if every key were deleted from storage.
    keyring = Keyring(parts.storage, always=not _may_be_anonymous(settings))
    office = app.state.office = Office(parts, settings, keyring)
    answer_problems(app)
    app.add_middleware(Counting, traffic=office.traffic)
    app.add_middleware(Manners)
    app.include_router(health.router)
    app.include_router(pages.router)
    for room in (jobs, events, downloads, webhooks, decoders, images, fleet, metrics):
        app.include_router(room.router, responses=KEY_REFUSALS)
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
            http=Connection,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            limit_concurrency=settings.max_connections + 1,
            # A slow download must not hold up a restart; it resumes with a Range request.
            timeout_graceful_shutdown=10,
        )
    )


def main(settings: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    Raises StartRefused for a public address without keys; StorageUnavailable or LedgerUnavailable.
    """
    configure_logging(settings)
    app = create_app(settings)
    parts: Parts = app.state.office.parts
    check_parts(settings, parts)
    refuse_public(settings, parts.storage)
    # Now, because later storage may be away, and then nobody could tell.
    app.state.office.keyring.are_needed()
    # uvicorn stops in good order and then raises the signal again: being asked to stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    server = server_of(app, settings)
    server.run()
    return 0 if server.started else 1


def refuse_public(settings: ApiSettings, storage: Storage) -> None:
    """Raises StartRefused where strangers could use an API without keys."""
    if _may_be_anonymous(settings) or any_keys(storage):
        return
    raise StartRefused(
        f"without keys anybody who reaches {settings.host} could use the API; make one with "
        "`latentmill keys create OWNER`, or listen on 127.0.0.1, or set LATENTMILL_ALLOW_ANONYMOUS=1 "
        "behind something that keeps strangers out"
    )


def _may_be_anonymous(settings: ApiSettings) -> bool:
    return settings.allow_anonymous or _is_loopback(settings.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
