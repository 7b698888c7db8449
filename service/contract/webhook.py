"""A job's webhook: the event that is sent when the job has ended, and how its delivery goes."""

import json
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from service.contract.job import Job
from service.contract.request import JOB_ID
from service.contract.value import Moment, Value, sha256_hex


class DeliveryStatus(StrEnum):
    """Where a delivery is. Asking for it again makes it pending again."""

    PENDING = "pending"  # the job runs, or another attempt is to come
    DELIVERED = "delivered"  # the receiver answered 2xx
    GIVEN_UP = "given_up"  # no attempt is left, or the receiver answered 410


class Delivery(Value):
    """`webhook.json`: the last attempt and the next. Where no answer came, `last_error` says why."""

    id: str = Field(pattern=JOB_ID)
    url: str
    status: DeliveryStatus = Field(default=DeliveryStatus.PENDING, strict=False)
    attempts: int = 0
    last_attempt_at: Moment | None = Field(default=None, strict=False)
    last_status: int | None = None
    last_error: str | None = None
    next_attempt_at: Moment | None = Field(default=None, strict=False)

    def is_due(self, now: datetime) -> bool:
        return self.next_attempt_at is None or self.next_attempt_at <= now


class Event(Value):
    """What a receiver is sent: `job.completed`, `job.failed` or `job.cancelled`, with the job as data."""

    id: str
    body: bytes


def event_of(job: Job) -> Event:
    """The event of a job that has ended: the same id and the same bytes whenever it is asked for."""
    data = job.model_dump(mode="json", exclude={"links"})
    told = {"type": f"job.{job.status}", "timestamp": data["finished_at"], "data": data}
    # Of the outcome, which is written once; a forgotten job's id may come again, with another moment.
    name = sha256_hex(f"{job.id}\n{data['finished_at']}".encode())
    return Event(id=f"evt_{name[:32]}", body=json.dumps(told, separators=(",", ":")).encode())
