"""A worker's heartbeat: tells the ledger its slots, and ends the process when a shard stopped moving."""

import json
import os
import threading

import structlog

from service.adapters.ledger import Ledger
from service.contract.errors import LedgerUnavailable
from workers.lease import Watch

log = structlog.get_logger(__name__)

BEAT_S = 2.0
#: Five missed beats: dispatch stops counting on the slots.
BELIEVED_S = 10.0
#: EX_SOFTWARE: a supervisor restarts, the lease brings the shard back.
WEDGED = 70


class Heart(threading.Thread):
    """Beats until stopped. A hung forward pass cannot be interrupted, so the process is."""

    def __init__(
        self,
        ledger: Ledger,
        watch: Watch,
        *,
        name: str,
        slots: int,
        profile: dict[str, str],
        limit_s: float,
    ) -> None:
        super().__init__(name="heart", daemon=True)
        self._ledger, self._watch, self._worker = ledger, watch, name
        self._slots, self._info, self._limit_s = slots, json.dumps(profile), limit_s
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            self._end_if_wedged()
            try:
                self._ledger.heartbeat(
                    self._worker, slots=self._slots, info=self._info, ttl_s=BELIEVED_S
                )
            except LedgerUnavailable as error:
                log.warning("heartbeat_failed", reason=str(error))
            self._stopped.wait(BEAT_S)

    def _end_if_wedged(self) -> None:
        age_s = self._watch.oldest_s()
        if age_s > self._limit_s:
            log.error("worker_wedged", seconds_without_progress=round(age_s))
            os._exit(WEDGED)

    def stop(self) -> None:
        self._stopped.set()
        try:
            self._ledger.goodbye(self._worker)
        except LedgerUnavailable:
            log.info("goodbye_not_said")
