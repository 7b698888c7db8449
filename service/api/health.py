"""Health that says no when it means no, within seconds whatever hangs."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from fastapi import APIRouter

from service.adapters.ledger import Ledger
from service.api.deps import Office, TheOffice
from service.api.problems import documented
from service.api.refusals import NotReady
from service.contract.errors import Unavailable
from service.contract.limits import MOST, Limits

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])

#: Shorter than an orchestrator waits for a probe.
_CHECK_S = 3.0
#: No owner's name begins like this.
_REHEARSAL = "-readyz"
_NO_LIMITS = Limits(max_count=MOST, max_active_jobs=MOST)


# async, so that it answers even while every thread waits for Redis or storage.
@router.get("/livez")
async def livez() -> dict[str, str]:
    """This process answers. Says nothing of Redis or storage: restarting the API heals neither."""
    return {"status": "ok"}


@router.get("/readyz", responses=documented(NotReady))
async def readyz(office: TheOffice) -> dict[str, str]:
    """A job could be accepted now: storage answers, and Redis takes writes."""
    storage, ledger = office.parts.storage, office.parts.ledger
    checks: dict[str, Callable[[], None]] = {
        "Object storage": storage.check,
        "Redis": partial(_rehearse, ledger),
    }
    silent = await _failing(office, checks)
    if silent:
        raise NotReady(". ".join(f"{name} does not answer" for name in silent))
    return {"status": "ok"}


async def _failing(office: Office, checks: Mapping[str, Callable[[], None]]) -> list[str]:
    """Names of the checks that failed or took too long."""
    loop = asyncio.get_running_loop()
    # Threads of their own: those of the routes may all be waiting for what is checked here.
    running = {
        name: loop.run_in_executor(office.checkers, _passes, name, check)
        for name, check in checks.items()
    }
    done, pending = await asyncio.wait(running.values(), timeout=_CHECK_S)
    for future in pending:
        future.cancel()
    return [name for name, future in running.items() if future not in done or not future.result()]


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Unavailable as error:
        log.warning("not_ready", what=name, reason=error.detail)
        return False
    return True


def _rehearse(ledger: Ledger) -> None:
    """A submit's first step, taken back. A Redis that lost its disk or its role answers reads and refuses this."""
    ledger.admit("readyz", owner=_REHEARSAL, samples=0, limits=_NO_LIMITS)
    ledger.withdraw("readyz", owner=_REHEARSAL, samples=0)
