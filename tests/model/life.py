"""One job, as the model of the ledger remembers it."""

from dataclasses import dataclass, field

from service.contract.job import Status


@dataclass
class Life:
    """One job. `due_ms` None: it is in no outbox any more."""

    owner: str
    shards: int
    samples: int
    status: Status
    done: set[int]
    due_ms: int | None
    rank: int = 1
    reused: int = 0
    next: int = 0
    error: str | None = None
    last_error: str = "its worker died each time"
    leases: dict[int, int] = field(default_factory=dict)
    holders: dict[int, str] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)

    def due_by(self, ms: int) -> None:
        self.due_ms = ms if self.due_ms is None else min(self.due_ms, ms)

    def fails(self, reason: str, now: int) -> str:
        self.status, self.error, self.due_ms = Status.FAILING, reason, now
        return "FAIL"
