"""Cancel a job, or forget one that has ended."""

import structlog

from service.contract import layout
from service.contract.errors import JobNotCancellable, JobUnfinished, StorageUnavailable
from service.contract.job import Job, Status
from service.lifecycle.describe import describe, read_request
from service.lifecycle.finish import finish
from service.lifecycle.parts import Parts
from service.lifecycle.submit import enter_ledger

log = structlog.get_logger(__name__)


def cancel(parts: Parts, job_id: str, *, owner: str) -> Job:
    """Ask the job to stop; running shards see it at their next heartbeat, stored shards stay.

    Raises UnknownJob, or JobNotCancellable when the job is finalizing or has ended.
    """
    job = describe(parts, job_id, owner=owner)
    status = parts.ledger.cancel(job_id)
    if status is None and not job.status.is_terminal:
        # Redis forgot a running job: make it known, then cancel it.
        enter_ledger(parts, read_request(parts.storage, job_id))
        status = parts.ledger.cancel(job_id)
    if status != Status.CANCELLING:
        raise JobNotCancellable(f"the job is {status or job.status}")
    try:
        finish(parts, job_id)
    except StorageUnavailable as error:
        log.warning("cancel_waits_for_storage", job=job_id, reason=str(error))
    return describe(parts, job_id, owner=owner)


def forget(parts: Parts, job_id: str, *, owner: str) -> None:
    """Delete the records of a job that has ended; its shards stay, for they belong to the recipe.

    Raises UnknownJob, or JobUnfinished.
    """
    job = describe(parts, job_id, owner=owner)
    if not job.status.is_terminal:
        raise JobUnfinished(f"the job is {job.status}; cancel it first")
    parts.storage.delete(layout.webhook(job_id))
    # The listing first: a job half forgotten is still found and can be forgotten again. Without an outcome it is
    # nobody's, and what is left of it is pruned. The request goes last, for it tells whose job it was.
    parts.storage.delete(layout.log_entry(owner, job.created_at, job_id))
    for key in (layout.active, layout.repair, layout.job_outcome, layout.job_manifest):
        parts.storage.delete(key(job_id))
    for key in (layout.job_webhook, layout.job_repair, layout.job_request):
        parts.storage.delete(key(job_id))
    parts.ledger.forget(job_id)
