"""Leaving: what a worker does between SIGTERM and its end, beside finishing the shards in hand."""

import os
import threading
import time

import structlog

from service.contract.errors import Unavailable
from service.lifecycle.dispatch import dispatch
from workers.heart import Heart
from workers.shard import Studio

log = structlog.get_logger(__name__)

#: Between handing a shard back and ending whatever still holds it: its holder looks up several times a second.
_LOOK_UP_S = 2.0


class Leaving(threading.Thread):
    """Celery takes no new message and waits for its threads; this sees to it that the wait has an end."""

    def __init__(self, studio: Studio, heart: Heart, *, grace_s: float) -> None:
        super().__init__(name="leaving", daemon=True)
        self._studio, self._heart, self._grace_s = studio, heart, grace_s

    def run(self) -> None:
        self._heart.retire()
        time.sleep(self._grace_s)
        self._hand_back()
        time.sleep(_LOOK_UP_S)
        # A forward pass that never looks up: its shard is somebody else's by now.
        log.warning("worker_left_in_the_middle", shards=len(self._studio.watch.held()))
        os._exit(0)

    def _hand_back(self) -> None:
        held = self._studio.watch.held()
        try:
            for lease in held:
                lease.hand_back()
                log.info("shard_handed_back", job=lease.job_id, shard=lease.shard)
            dispatch(self._studio.parts, limit=max(1, len(held)))
        except Unavailable as error:
            log.warning("shards_left_to_their_leases", reason=error.detail)
