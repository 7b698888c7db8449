"""The daily prune: one of all sweeps does it, beside its other work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from service.contract.errors import LatentmillError, Unavailable
from service.lifecycle.parts import Parts
from service.lifecycle.prune import Pruned, prune, time_of

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
#: A prune that removes nothing for so long has died, or looks through a hundred million objects: two do no harm.
_BELIEVED_S = 3600.0
_LOOK_S = 60.0
_TURN = "prune"


class Stopped(LatentmillError):
    """The process ends; the rest is pruned tomorrow."""


@contextmanager
def daily_prune(parts: Parts, *, look_s: float = _LOOK_S) -> Iterator[None]:
    """While the block runs and retention is set, prune once a day, in a thread of its own."""
    if parts.retention is None:
        yield
        return
    stopped = threading.Event()
    thread = threading.Thread(target=_watch, args=(parts, stopped, look_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()


def _watch(parts: Parts, stopped: threading.Event, look_s: float) -> None:
    while not stopped.is_set():
        try:
            prune_if_due(parts, stopped)
        except Stopped:
            return
        except Unavailable as error:
            log.warning("prune_waits", reason=error.detail)
        except Exception:
            log.exception("prune_failed")
        stopped.wait(look_s)


def prune_if_due(parts: Parts, stopped: threading.Event) -> None:
    """Prune unless a sweep did within a day. Raises Unavailable, Stopped."""
    turns = parts.ledger.turns
    if not turns.take(_TURN, for_s=_BELIEVED_S):
        return

    def go_on(pruned: Pruned) -> None:
        if stopped.is_set():
            raise Stopped
        if sum(pruned.objects.values()) % 1000 == 0:
            turns.keep(_TURN, for_s=_BELIEVED_S)

    now = time_of(parts.storage)
    pruned = prune(parts.storage, now=now, older_than=parts.retention, on_removed=go_on)
    turns.keep(_TURN, for_s=DAY_S)
    objects = {kind.name.lower(): number for kind, number in pruned.objects.items()}
    log.info("pruned", size_bytes=sum(pruned.size_bytes.values()), **objects)
