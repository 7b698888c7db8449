"""Dispatch: sends due shards to workers, owners in turn, never more than a window of any job."""

import structlog

from service.contract.errors import Unavailable
from service.lifecycle.finish import finish
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

#: Shards of one job out at once, per live slot: one running, two so that no slot waits for the sweep.
WINDOW_PER_SLOT = 3
MIN_WINDOW = 4
#: Messages in the queues at once, in windows: enough for other owners' turns, little enough to stay fair.
QUEUE_WINDOWS = 4
#: Shards of one job sent at one look: a submit answers within tens of milliseconds, and no script holds Redis for long,
#: however large the fleet. What is left stays due; every commit and the sweep look again.
BURST = 64


def dispatch(parts: Parts, *, limit: int, in_passing: bool = False) -> int:
    """Look at up to `limit` due jobs; returns how many there were.

    Gated on the queue's length only: while workers are away, expired leases do not pile up messages. `in_passing`:
    for those who have other work to do, a full queue is left to the sweep.
    """
    window = max(MIN_WINDOW, WINDOW_PER_SLOT * parts.ledger.live_slots())
    room = QUEUE_WINDOWS * window - parts.queue.length()
    if in_passing and room <= 0:
        return 0
    due = parts.ledger.due(limit)
    for job_id in due:
        try:
            room -= _send_claimed(parts, job_id, window=window, room=min(max(0, room), BURST))
        except Unavailable:
            raise
        except Exception:
            # One job's broken records must not stop everybody's.
            log.exception("job_stuck", job=job_id)
    return len(due)


def _send_claimed(parts: Parts, job_id: str, *, window: int, room: int) -> int:
    claim = parts.ledger.claim(job_id, window=window, room=room)
    if claim.status is not None and claim.status.intended_outcome is not None:
        finish(parts, job_id)
        return 0
    for shard in claim.shards:
        parts.queue.send_shard(job_id, shard, small=claim.total == 1)
    return len(claim.shards)
