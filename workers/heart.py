"""A worker's heartbeat: tells the ledger its slots, and ends the process when it stopped moving."""

import json
import os
import threading
from collections.abc import Mapping

import structlog

from service.adapters.ledger import Ledger
from service.adapters.queue import ShardQueue
from service.contract.errors import LedgerUnavailable
from workers.lease import Watch
from workers.sign import Sign

log = structlog.get_logger(__name__)

BEAT_S = 2.0
#: Five missed beats: dispatch stops counting on the slots.
BELIEVED_S = 10.0
#: So many beats in a row an idle worker may leave messages lying: forty seconds, longer than Celery pauses between two
#: tries to reach a broker. Seen in life: Redis goes away while every slot works, no acknowledgement can be sent, and
#: the consumer counts those messages as in hand for ever.
HUNGRY_BEATS = 20
#: EX_SOFTWARE: a supervisor restarts, the lease brings the shard back.
WEDGED = 70
#: EX_DATAERR: an audit found its bytes wrong. Whoever restarts it should look at the machine first.
QUARANTINED = 65


class Heart(threading.Thread):
    """Beats until stopped. A hung forward pass cannot be interrupted, so the process is."""

    def __init__(
        self,
        ledger: Ledger,
        queue: ShardQueue,
        watch: Watch,
        sign: Sign,
        *,
        name: str,
        slots: int,
        info: Mapping[str, str | int],
        limit_s: float,
    ) -> None:
        super().__init__(name="heart", daemon=True)
        self._ledger, self._queue, self._watch, self._sign = ledger, queue, watch, sign
        self._worker, self._slots, self._info = name, slots, json.dumps(dict(info))
        self._limit_s = limit_s
        self._stopped, self._retired = threading.Event(), threading.Event()
        self._hungry_beats, self._taken = 0, 0

    def run(self) -> None:
        while not self._stopped.is_set():
            self._end_if_wedged()
            # Also while Redis is away: to restart this process would heal nothing.
            self._sign.give()
            try:
                self._beat()
            except LedgerUnavailable as error:
                log.warning("heartbeat_failed", reason=str(error))
            self._stopped.wait(BEAT_S)

    def _beat(self) -> None:
        self._end_if_quarantined()
        if not self._retired.is_set():
            self._ledger.heartbeat(
                self._worker, slots=self._slots, info=self._info, ttl_s=BELIEVED_S
            )
            self._end_if_starving()

    def _end_if_wedged(self) -> None:
        age_s = self._watch.oldest_s()
        if age_s > self._limit_s:
            log.error("worker_wedged", seconds_without_progress=round(age_s))
            os._exit(WEDGED)

    def _end_if_quarantined(self) -> None:
        """At once: not another byte of its shards in hand may be stored. Their leases bring them back."""
        if self._ledger.audits.is_quarantined(self._worker):
            log.error("worker_quarantined", worker=self._worker)
            self._say_goodbye()
            os._exit(QUARANTINED)

    def _end_if_starving(self) -> None:
        """A consumer that takes nothing, while there is something to take, never will again."""
        is_fed = self._watch.working or self._watch.taken != self._taken or not self._queue.length()
        self._hungry_beats = 0 if is_fed else self._hungry_beats + 1
        self._taken = self._watch.taken
        if self._hungry_beats > HUNGRY_BEATS:
            log.error("worker_wedged", beats_without_a_message=self._hungry_beats)
            os._exit(WEDGED)

    def retire(self) -> None:
        """Nobody counts on the slots any more; wedges are still looked for."""
        self._retired.set()
        self._say_goodbye()

    def stop(self) -> None:
        self._stopped.set()
        self._sign.end()
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        try:
            self._ledger.goodbye(self._worker)
        except LedgerUnavailable:
            log.info("goodbye_not_said")
