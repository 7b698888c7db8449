"""Repair, as seen by who asks for it and by who sends it to a worker; `workers/repair.py` does it.

A marker in storage says that a repair is owed, until it has ended. The message to a worker is only a hint, sent again
whenever nobody has worked on the repair for the length of a lease.
"""

from datetime import datetime

import structlog

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.errors import JobUnfinished, LedgerUnavailable, NothingToRepair, ObjectMissing
from service.contract.repair import RepairReport, RepairStatus
from service.lifecycle.describe import describe, read_manifest
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)


def ask_for_repair(parts: Parts, job_id: str, *, owner: str) -> RepairReport:
    """Queue a repair of a completed job. Raises UnknownJob, NothingToRepair, StorageUnavailable."""
    try:
        read_manifest(parts, job_id, owner=owner)
    except JobUnfinished as error:
        raise NothingToRepair(error.detail) from error
    report = owe_repair(parts.storage, job_id, asked_at=parts.clock())
    try:
        send_repair(parts, job_id)
    except LedgerUnavailable as error:
        log.warning("repair_waits_for_redis", job=job_id, reason=str(error))
    return report


def owe_repair(storage: Storage, job_id: str, *, asked_at: datetime) -> RepairReport:
    """From here on the repair happens, whatever dies: the sweep finds the marker."""
    report = RepairReport(id=job_id, status=RepairStatus.QUEUED, asked_at=asked_at)
    storage.put(layout.job_repair(job_id), report.to_json())
    # The marker goes last: whoever finds it finds the report.
    storage.put(layout.repair(job_id), report.to_json())
    return report


def send_repair(parts: Parts, job_id: str) -> bool:
    """Send the hint, unless one was sent or the repair was worked on within the length of a lease."""
    ledger = parts.ledger
    if not ledger.turns.take(sent(errand_of(job_id)), for_s=ledger.lease_s):
        return False
    is_sent = parts.queue.send_repair(job_id)
    if not is_sent:
        ledger.turns.end(sent(errand_of(job_id)))
    return is_sent


def errand_of(job_id: str) -> str:
    """The name of the turn that a worker holds while it repairs."""
    return f"repair:{job_id}"


def sent(errand: str) -> str:
    """The name of the turn that keeps everybody from sending an errand's message again."""
    return f"{errand}:sent"


def resend_repairs(parts: Parts) -> int:
    """Send those that are owed and that nobody works on; returns how many."""
    owed = (
        marker.key.removeprefix(layout.REPAIRS) for marker in parts.storage.list(layout.REPAIRS)
    )
    return sum(send_repair(parts, job_id) for job_id in owed)


def read_repair(parts: Parts, job_id: str, *, owner: str) -> RepairReport | None:
    """The last repair of a job, or None when none was ever asked for. Raises UnknownJob."""
    describe(parts, job_id, owner=owner)
    try:
        return RepairReport.model_validate_json(parts.storage.get(layout.job_repair(job_id)))
    except ObjectMissing:
        return None
