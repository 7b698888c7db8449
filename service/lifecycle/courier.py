"""The courier: tries to deliver one webhook, and keeps what came of it.

Order of an attempt: send -> keep what came of it -> take the marker away. A sweep that dies in between sends again.
"""

import random
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from service.adapters.storage import exists
from service.adapters.webhook_schedule import Claimed
from service.adapters.webhook_sender import Sender
from service.contract import layout
from service.contract.errors import NoWebhook, ObjectMissing, UnknownJob, WebhookFailed
from service.contract.job import Job
from service.contract.webhook import Delivery, DeliveryStatus, event_of
from service.contract.webhook_signature import derived, signed
from service.contract.webhook_url import read_url
from service.lifecycle.describe import described_from_storage
from service.lifecycle.parts import Parts
from service.lifecycle.patience import Patience
from service.lifecycle.submit import ANONYMOUS
from service.lifecycle.webhooks import read_delivery

log = structlog.get_logger(__name__)

#: With 10 s before the second: 10 s, 30 s, 90 s … 6 h, then 12 h; 21 hours in all.
MAX_ATTEMPTS = 10
_GROWTH, _LONGEST_PAUSE_S = 3, 43_200.0
#: The receiver says that it wants no more of them (Standard Webhooks 1.0.0).
_GONE = 410
#: A job that runs wakes its webhook when it ends; this is for one whose call was lost.
_UNFINISHED_S = 300.0
#: A marker without a job is a submit that was cut off, and a replay may still complete it.
_ORPHAN_S = 86_400.0


def signing_keys(keys: tuple[bytes, ...], owner: str) -> tuple[bytes, ...]:
    """What an owner's webhooks are signed with; where nobody needs an API key, what the operator set."""
    return keys if owner == ANONYMOUS else derived(keys, owner)


class Courier:
    """Delivers webhooks: what it signs with, whom it may trust, and how patient it is."""

    def __init__(
        self,
        parts: Parts,
        sender: Sender,
        *,
        keys: tuple[bytes, ...],
        trusted: frozenset[str],
        retry_s: float,
    ) -> None:
        self._parts, self._sender, self._retry_s = parts, sender, retry_s
        self._keys, self._trusted, self._patience = keys, trusted, Patience()

    def deliver(self, claimed: Claimed) -> None:
        """Try once, if it is time. Raises StorageUnavailable or LedgerUnavailable; the lease then runs out."""
        parts, job_id = self._parts, claimed.job_id
        if not exists(parts.storage, layout.webhook(job_id)):
            return parts.ledger.webhooks.drop(claimed)
        try:
            owner, delivery = read_delivery(parts, job_id)
            job = described_from_storage(parts.storage, job_id, owner=owner)
        except (UnknownJob, NoWebhook):
            return _wait_for_submit(parts, claimed)
        if delivery.status != DeliveryStatus.PENDING:
            return _settle(parts, claimed)
        if not job.status.is_terminal:
            return parts.ledger.webhooks.postpone(claimed, by_s=_UNFINISHED_S)
        now = parts.clock()
        if wait_s := self._patience.wait_s(_host(delivery)):
            # Spread, or they would all come back at once.
            return parts.ledger.webhooks.postpone(claimed, by_s=wait_s * random.uniform(1, 2))
        if delivery.is_due(now):
            keys = signing_keys(self._keys, owner)
            delivery = self._attempted(delivery, job, now, keys)
            parts.storage.put(layout.job_webhook(job_id), delivery.to_json())
        if delivery.next_attempt_at is None:
            return _settle(parts, claimed)
        by_s = (delivery.next_attempt_at - parts.clock()).total_seconds()
        return parts.ledger.webhooks.postpone(claimed, by_s=max(0.0, by_s))

    def _attempted(
        self, delivery: Delivery, job: Job, now: datetime, keys: tuple[bytes, ...]
    ) -> Delivery:
        event, status, reason = event_of(job), None, None
        headers = signed(keys, event_id=event.id, timestamp_s=int(now.timestamp()), body=event.body)
        try:
            url = read_url(delivery.url, trusted=self._trusted)
            status = self._sender.post(url, headers=headers, body=event.body)
            self._patience.note_answer(_host(delivery))
        except WebhookFailed as error:
            reason = str(error)
            self._patience.note_silence(_host(delivery))
        except ValueError as error:
            reason = str(error)
        attempts = delivery.attempts + 1
        standing = _standing(status, attempts)
        # The host and not the URL, which may hold a password of the receiver's.
        log.info("webhook_sent", job=job.id, attempt=attempts, status=status, reason=reason)
        return Delivery(
            id=job.id,
            url=delivery.url,
            status=standing,
            attempts=attempts,
            last_attempt_at=now,
            last_status=status,
            last_error=reason,
            next_attempt_at=now + self._pause(attempts)
            if standing == DeliveryStatus.PENDING
            else None,
        )

    def _pause(self, attempts: int) -> timedelta:
        pause_s = min(self._retry_s * _GROWTH ** (attempts - 1), _LONGEST_PAUSE_S)
        # Of random length, so that a receiver that comes back is not met by everything at once.
        pause_ms = round(1000 * pause_s * random.uniform(0.5, 1.5))
        return timedelta(milliseconds=pause_ms)


def _host(delivery: Delivery) -> str:
    return urlsplit(delivery.url).netloc.lower()


def _standing(status: int | None, attempts: int) -> DeliveryStatus:
    if status is not None and 200 <= status < 300:
        return DeliveryStatus.DELIVERED
    if status == _GONE or attempts >= MAX_ATTEMPTS:
        return DeliveryStatus.GIVEN_UP
    return DeliveryStatus.PENDING


def _settle(parts: Parts, claimed: Claimed) -> None:
    """Nothing is owed any more."""
    parts.storage.delete(layout.webhook(claimed.job_id))
    parts.ledger.webhooks.drop(claimed)


def _wait_for_submit(parts: Parts, claimed: Claimed) -> None:
    try:
        marked_at = parts.storage.head(layout.webhook(claimed.job_id)).modified_at
    except ObjectMissing:
        return parts.ledger.webhooks.drop(claimed)
    if parts.clock() - marked_at > timedelta(seconds=_ORPHAN_S):
        return _settle(parts, claimed)
    return parts.ledger.webhooks.postpone(claimed, by_s=_ORPHAN_S)
