"""The sweep: looks for work that stopped moving. Any number of them may run, for all they do is idempotent."""

import faulthandler
import signal
import threading
import time

import structlog

from service.adapters.events import configure_logging
from service.contract.errors import Unavailable
from service.contract.settings import SweepSettings
from service.lifecycle.dispatch import dispatch
from service.lifecycle.parts import Parts, check_parts, open_parts
from service.lifecycle.rebuild import rebuild
from service.lifecycle.repair import resend_repairs
from workers.daily_prune import daily_prune
from workers.sign import Sign
from workers.webhook import post_office

log = structlog.get_logger(__name__)

#: Jobs looked at in one turn; a longer backlog is met in the next.
JOBS_PER_TURN = 200
#: A turn that takes longer hangs: even ten thousand jobs are rebuilt in less. The process ends, and is started again.
TURN_LIMIT_S = 300.0


class Sweep:
    """One turn per interval; storage is compared with Redis now and then, and at once when Redis is new."""

    def __init__(self, parts: Parts, *, rebuild_interval_s: float) -> None:
        self._parts, self._rebuild_interval_s = parts, rebuild_interval_s
        self._rebuilt_at = float("-inf")

    def turn(self) -> None:
        """Rebuild if due, then dispatch. Raises StorageUnavailable or LedgerUnavailable."""
        overdue = time.monotonic() - self._rebuilt_at >= self._rebuild_interval_s
        if overdue or self._parts.ledger.is_fresh():
            recreated = rebuild(self._parts)
            self._rebuilt_at = time.monotonic()
            if recreated:
                log.warning("ledger_rebuilt", jobs=recreated)
            resend_repairs(self._parts)
        dispatch(self._parts, limit=JOBS_PER_TURN)


def main(settings: SweepSettings) -> int:
    """Sweep until SIGTERM or SIGINT. Returns the exit code.

    Raises StartRefused, StorageUnavailable or LedgerUnavailable when something needed is missing.
    """
    configure_logging(settings)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    parts = open_parts(settings)
    check_parts(settings, parts)
    sweep = Sweep(parts, rebuild_interval_s=settings.rebuild_interval_s)
    sign = Sign(settings.heartbeat_file)
    log.info("sweep_ready")
    with post_office(settings, parts), daily_prune(parts):
        while not stopped.is_set():
            sign.give()
            _turn(sweep)
            stopped.wait(settings.sweep_interval_s)
    sign.end()
    return 0


def _turn(sweep: Sweep) -> None:
    # Its own thread in C: whatever holds this one, the traceback is told and the process ends.
    faulthandler.dump_traceback_later(TURN_LIMIT_S, exit=True)
    try:
        sweep.turn()
    except Unavailable as error:
        log.warning("sweep_waits", reason=str(error))
    except Exception:
        # Whatever it was, tomorrow's jobs still need a sweep.
        log.exception("sweep_turn_failed")
    finally:
        faulthandler.cancel_dump_traceback_later()
