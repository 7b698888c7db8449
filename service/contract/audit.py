"""An audit: one worker makes a shard that another one stored, and the bytes must be equal."""

from pydantic import Field

from service.contract.request import JOB_ID
from service.contract.value import SHA256, Moment, Value

#: A host's name and a process id.
_WORKER = r"^[!-~]{1,200}$"


class Audit(Value):
    """What the message to an auditor says. `second` has found other bytes already, and a third is asked.

    `passed_on` counts the workers that took the message and could not judge.
    """

    job_id: str = Field(pattern=JOB_ID)
    shard: int = Field(ge=0)
    maker: str = Field(pattern=_WORKER)
    second: str | None = Field(default=None, pattern=_WORKER)
    second_sha256: str | None = Field(default=None, pattern=SHA256)
    passed_on: int = Field(default=0, ge=0, le=100)

    @property
    def heard(self) -> set[str]:
        """Workers that have said what the bytes are."""
        return {self.maker} | ({self.second} if self.second else set())


class AuditRecord(Value):
    """`audits/….json`: workers of one profile made other bytes of one shard.

    `claims` maps each worker to the sha256 it made. `wrong` is the one that two others agree against; where it is not
    known, everybody in `claims` is suspected. `later_shards` are keys of what the wrong one stored from then on.
    """

    key: str
    job_id: str
    shard: int
    profile: str
    claims: dict[str, str]
    wrong: str | None
    later_shards: tuple[str, ...] = Field(default=(), strict=False)
    found_at: Moment = Field(strict=False)
