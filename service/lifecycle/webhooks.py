"""Webhooks: whoever asked is told that the job has ended, at least once, for about a day, whatever dies meanwhile.

A marker in storage says that one is owed, from before the 202 until it was delivered or given up.
"""

from itertools import islice

import structlog

from service.contract import layout
from service.contract.errors import JobUnfinished, LedgerUnavailable, NoWebhook, ObjectMissing
from service.contract.webhook import Delivery
from service.lifecycle.describe import describe, read_request
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)


def note_owed(parts: Parts) -> None:
    """Make the ledger know every webhook that storage marks as owed; it may have forgotten some."""
    markers = iter(parts.storage.list(layout.WEBHOOKS))
    while some := list(islice(markers, 500)):
        parts.ledger.webhooks.note(marker.key.removeprefix(layout.WEBHOOKS) for marker in some)


def read_delivery(parts: Parts, job_id: str) -> tuple[str, Delivery]:
    """Whose job it is, and how its webhook goes. Raises UnknownJob or NoWebhook."""
    job = read_request(parts.storage, job_id)
    if job.webhook is None:
        raise NoWebhook
    try:
        kept = parts.storage.get(layout.job_webhook(job_id))
    except ObjectMissing:
        return job.owner, Delivery(id=job_id, url=job.webhook)
    return job.owner, Delivery.model_validate_json(kept)


def tell_delivery(parts: Parts, job_id: str, *, owner: str) -> Delivery:
    """For whoever asks. Raises UnknownJob, also for another owner's job, or NoWebhook."""
    describe(parts, job_id, owner=owner)
    return read_delivery(parts, job_id)[1]


def redeliver(parts: Parts, job_id: str, *, owner: str) -> Delivery:
    """Send the event again, with all attempts before it. Raises UnknownJob, NoWebhook or JobUnfinished."""
    delivery = tell_delivery(parts, job_id, owner=owner)
    if not describe(parts, job_id, owner=owner).status.is_terminal:
        raise JobUnfinished("the job has not ended; its webhook is sent when it has")
    again = Delivery(id=job_id, url=delivery.url)
    parts.storage.put(layout.job_webhook(job_id), again.to_json())
    parts.storage.put(layout.webhook(job_id), b"")
    try:
        parts.ledger.webhooks.wake(job_id)
    except LedgerUnavailable as error:
        log.warning("webhook_waits_for_redis", job=job_id, reason=str(error))
    return again
