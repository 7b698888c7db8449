"""A job's life: its statuses, the legal ways between them, and what a client is told."""

from enum import StrEnum

from pydantic import Field

from service.contract.request import Priority, ResolvedRequest
from service.contract.value import Moment, Value


class Status(StrEnum):
    """Where a job is. The three *-ing intents lead to one terminal status each."""

    QUEUED = "queued"  # accepted; no shard has begun
    RUNNING = "running"  # at least one shard has begun
    FINALIZING = "finalizing"  # every shard is stored; past cancelling
    CANCELLING = "cancelling"  # a client asked to stop; running shards see it within a second
    FAILING = "failing"  # a shard cannot be made; the outcome is being written
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)

    @property
    def wants_shards(self) -> bool:
        """Whether shards of the job may be dispatched, run and committed."""
        return self in (Status.QUEUED, Status.RUNNING)

    @property
    def intended_outcome(self) -> "Status | None":
        """The terminal status that an intent leads to; None for every other status."""
        return _INTENDED.get(self)

    def may_become(self, other: "Status") -> bool:
        return other in _LEGAL[self]


_INTENDED = {
    Status.FINALIZING: Status.COMPLETED,
    Status.CANCELLING: Status.CANCELLED,
    Status.FAILING: Status.FAILED,
}

#: `finalizing -> running` is a finisher that found a hole in the store.
_LEGAL: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.RUNNING, Status.FINALIZING, Status.CANCELLING, Status.FAILING}
    ),
    Status.RUNNING: frozenset({Status.FINALIZING, Status.CANCELLING, Status.FAILING}),
    Status.FINALIZING: frozenset({Status.RUNNING, Status.COMPLETED}),
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    Status.FAILING: frozenset({Status.FAILED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class Progress(Value):
    """How far a job is. `shards_reused` counts shards that were stored before this job asked for them."""

    samples_total: int = 0
    samples_done: int = 0
    shards_total: int = 0
    shards_done: int = 0
    shards_reused: int = 0


class Outcome(Value):
    """`outcome.json`: the terminal record, written once. Whatever it says is what happened."""

    id: str
    status: Status = Field(strict=False)
    error: str | None = None
    progress: Progress
    started_at: Moment | None = Field(default=None, strict=False)
    finished_at: Moment = Field(strict=False)


class Job(Value):
    """What `GET /v1/jobs/{id}` answers. `request` is None only for a task whose arguments were refused.

    A job of which no shard was begun at `expires_at` fails.
    """

    id: str
    status: Status = Field(strict=False)
    request: ResolvedRequest | None
    progress: Progress
    tags: dict[str, str] = {}
    priority: Priority = Field(default=Priority.NORMAL, strict=False)
    created_at: Moment = Field(strict=False)
    expires_at: Moment | None = Field(default=None, strict=False)
    started_at: Moment | None = Field(default=None, strict=False)
    finished_at: Moment | None = Field(default=None, strict=False)
    error: str | None = None
    links: dict[str, str] = {}
