"""The post office of a sweep: threads of its own, so that a slow receiver holds up nothing but itself."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import structlog

from service.adapters.webhook_schedule import Claimed
from service.adapters.webhook_sender import Sender
from service.contract.errors import Unavailable
from service.contract.settings import SweepSettings
from service.lifecycle.courier import Courier
from service.lifecycle.parts import Parts
from service.lifecycle.webhooks import note_owed

log = structlog.get_logger(__name__)

#: Receivers that may be slow at once before others wait for a turn.
AT_ONCE = 16
#: Longer than an attempt takes with a slow store: until then no other sweep sends the same.
_LEASE_S = 30.0


class PostOffice(threading.Thread):
    """Claims what is due and delivers it. A context manager: it works from entry to exit."""

    def __init__(
        self, parts: Parts, courier: Courier, *, interval_s: float, rebuild_interval_s: float
    ) -> None:
        super().__init__(name="post-office", daemon=True)
        self._parts, self._courier = parts, courier
        self._interval_s, self._rebuild_interval_s = interval_s, rebuild_interval_s
        self._noted_at = float("-inf")
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self._out: set[Future[None]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()
        # What is on its way is waited for; it is seconds.
        self._pool.shutdown()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn()
            except Unavailable as error:
                log.warning("webhooks_wait", reason=str(error))
            except Exception:
                log.exception("webhooks_turn_failed")
            self._stopped.wait(self._interval_s)

    def _turn(self) -> None:
        if time.monotonic() - self._noted_at >= self._rebuild_interval_s:
            note_owed(self._parts)
            self._noted_at = time.monotonic()
        while claimed := self._claimed():
            self._out |= {self._pool.submit(self._deliver, one) for one in claimed}
            # The first that is done makes room for the next.
            wait(self._out, timeout=self._interval_s, return_when="FIRST_COMPLETED")

    def _claimed(self) -> list[Claimed]:
        self._out = {one for one in self._out if not one.done()}
        room = AT_ONCE - len(self._out)
        if room == 0 or self._stopped.is_set():
            return []
        return self._parts.ledger.webhooks.claim(room, lease_s=_LEASE_S)

    def _deliver(self, claimed: Claimed) -> None:
        try:
            self._courier.deliver(claimed)
        except Unavailable as error:
            log.warning("webhook_waits", job=claimed.job_id, reason=str(error))
        except Exception:
            # One job's broken records must not stop everybody's.
            log.exception("webhook_stuck", job=claimed.job_id)


def post_office(settings: SweepSettings, parts: Parts) -> AbstractContextManager[object]:
    """The sweep's post office; nothing where webhooks are off."""
    if settings.webhook_hosts is None:
        return nullcontext()
    courier = Courier(
        parts,
        Sender(),
        keys=settings.webhook_keys,
        trusted=settings.webhook_hosts,
        retry_s=settings.webhook_retry_s,
    )
    return PostOffice(
        parts,
        courier,
        interval_s=settings.sweep_interval_s,
        rebuild_interval_s=settings.rebuild_interval_s,
    )
