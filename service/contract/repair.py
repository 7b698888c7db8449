"""The report of a repair: which shards were found broken, which were made again, and which cannot be."""

from enum import StrEnum

from pydantic import Field

from service.contract.value import Moment, Value


class RepairStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"  # every shard is intact now
    FAILED = "failed"  # some shards stay broken; `unrepairable` says why


class RepairReport(Value):
    """`repair.json`. `unrepairable` maps a shard's index to the reason; such a shard was left as it was."""

    id: str
    status: RepairStatus = Field(strict=False)
    asked_at: Moment = Field(strict=False)
    finished_at: Moment | None = Field(default=None, strict=False)
    shards_checked: int = 0
    repaired: tuple[int, ...] = Field(default=(), strict=False)
    unrepairable: dict[str, str] = {}
