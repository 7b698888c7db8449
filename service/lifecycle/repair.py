"""Repair, as seen by who asks for it; `workers/repair.py` does it."""

from service.contract import layout
from service.contract.errors import (
    JobUnfinished,
    LedgerUnavailable,
    NothingToRepair,
    ObjectMissing,
)
from service.contract.repair import RepairReport, RepairStatus
from service.lifecycle.describe import describe, read_manifest
from service.lifecycle.parts import Parts


def ask_for_repair(parts: Parts, job_id: str, *, owner: str) -> RepairReport:
    """Queue a repair of a completed job. Raises UnknownJob, NothingToRepair, LedgerUnavailable."""
    try:
        read_manifest(parts, job_id, owner=owner)
    except JobUnfinished as error:
        raise NothingToRepair(error.detail) from error
    report = RepairReport(id=job_id, status=RepairStatus.QUEUED, asked_at=parts.clock())
    parts.storage.put(layout.job_repair(job_id), report.to_json())
    if not parts.queue.send_repair(job_id):
        raise LedgerUnavailable("the repair could not be queued; ask again when Redis answers")
    return report


def read_repair(parts: Parts, job_id: str, *, owner: str) -> RepairReport | None:
    """The last repair of a job, or None when none was ever asked for. Raises UnknownJob."""
    describe(parts, job_id, owner=owner)
    try:
        return RepairReport.model_validate_json(parts.storage.get(layout.job_repair(job_id)))
    except ObjectMissing:
        return None
