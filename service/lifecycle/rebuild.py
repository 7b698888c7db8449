"""Rebuild: makes the ledger know every job that storage holds as accepted and not ended."""

import structlog
from pydantic import ValidationError

from service.contract import layout
from service.contract.errors import UnknownJob
from service.lifecycle.describe import read_outcome, read_request
from service.lifecycle.finish import settle, stored_shards
from service.lifecycle.parts import Parts
from service.lifecycle.submit import enter_ledger

log = structlog.get_logger(__name__)


def rebuild(parts: Parts) -> int:
    """Recreate what the ledger lacks; returns how many jobs. Shards that are stored count as done.

    The other way round, a ledger that came back older than storage is told which jobs have ended.
    """
    unfinished = parts.ledger.unfinished()
    active = [
        marker.key.removeprefix(layout.ACTIVE) for marker in parts.storage.list(layout.ACTIVE)
    ]
    _end(parts, unfinished.difference(active))
    recreated = 0
    for job_id in active:
        try:
            known = parts.ledger.read(job_id)
            # One that has ended and is marked: its finisher died before it took the marker away.
            if known is None or known.status.is_terminal:
                recreated += _recreate(parts, job_id)
        except ValidationError:
            # One job's broken records must not stop everybody's.
            log.exception("job_stuck", job=job_id)
    parts.ledger.mark_rebuilt()
    return recreated


def _end(parts: Parts, unmarked: set[str]) -> None:
    """A job without a marker has ended, or did so while we looked."""
    for job_id in sorted(unmarked):
        outcome = read_outcome(parts.storage, job_id)
        if outcome is not None:
            settle(parts, outcome)


def _recreate(parts: Parts, job_id: str) -> int:
    outcome = read_outcome(parts.storage, job_id)
    if outcome is not None:
        # A finisher died between the outcome and the marker.
        settle(parts, outcome)
        return 0
    try:
        job = read_request(parts.storage, job_id)
    except UnknownJob:
        log.error("marker_without_request", job=job_id)
        return 0
    if job.resolved is None:
        # Refused as a task; it never was in the ledger.
        return 0
    enter_ledger(parts, job, stored=tuple(stored_shards(parts.storage, job.resolved)))
    log.info("job_rebuilt", job=job_id)
    return 1
