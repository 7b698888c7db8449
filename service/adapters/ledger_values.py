"""What the ledger answers: verdicts of its scripts, and jobs as it has them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from service.contract.job import Progress, Status
from service.contract.request import Priority, ResolvedRequest


class Verdict(StrEnum):
    """What a script decided; the words are the scripts' own."""

    OK = "OK"
    EXISTS = "EXISTS"
    CREATED = "CREATED"
    BUSY = "BUSY"
    GONE = "GONE"
    DONE = "DONE"
    STOP = "STOP"
    LOST = "LOST"
    FAIL = "FAIL"
    DUP = "DUP"
    LAST = "LAST"
    REOPENED = "REOPENED"
    CONFLICT = "CONFLICT"


class Admission(NamedTuple):
    """OK (a place is reserved), EXISTS (a replay), or BUSY: `limit` refuses with `left` of it unused.

    `wait_s` is when asking again may help; 0 when only the end of another job helps.
    """

    verdict: Verdict
    limit: str = ""
    left: int = 0
    wait_s: int = 0


class Claim(NamedTuple):
    """Shards to send now, of `total`; or, with an intent as `status`, a job to finish. None: unknown job."""

    status: Status | None
    shards: list[int]
    total: int = 0


class Choice(NamedTuple):
    """The shard to run for a message, and whether an earlier try at it did not end well."""

    job_id: str
    shard: int
    was_tried: bool


class Begin(NamedTuple):
    verdict: Verdict
    request: ResolvedRequest | None = None


@dataclass(frozen=True)
class Entry:
    """One job as the ledger has it."""

    owner: str
    status: Status
    request: ResolvedRequest
    progress: Progress
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    tags: dict[str, str]
    priority: Priority
    expires_at: datetime | None


def _moment(ms: str | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(int(ms) / 1000, UTC)


def entry_of(fields: dict[str, str], request: ResolvedRequest, *, last_done: bool) -> Entry:
    """The job that the fields of its hash tell. `last_done`: its last shard is stored."""
    done = int(fields["done"])
    # Only the last shard can be shorter than the others.
    samples_done = done * request.shard_size
    if last_done:
        samples_done -= request.shards * request.shard_size - request.count
    created_at = _moment(fields["created_ms"])
    assert created_at is not None
    return Entry(
        owner=fields["owner"],
        status=Status(fields["status"]),
        request=request,
        progress=Progress(
            samples_total=request.count,
            samples_done=samples_done,
            shards_total=request.shards,
            shards_done=done,
            shards_reused=int(fields["reused"]),
        ),
        created_at=created_at,
        started_at=_moment(fields.get("started_ms")),
        finished_at=_moment(fields.get("finished_ms")),
        error=fields.get("error"),
        tags=json.loads(fields.get("tags", "{}")),
        priority=list(Priority)[int(fields.get("rank", Priority.NORMAL.rank))],
        expires_at=_moment(fields.get("expires_ms")),
    )
