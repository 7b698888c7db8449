"""What one owner may ask for: how much at once, how often, and how much a day."""

from pydantic import Field

from service.contract.value import Value

#: No limit is above this: integers of HTTP's structured fields (RFC 9651) have 15 digits, and Redis
#: scripts count in doubles.
MOST = 10**15 - 1

_MANY = Field(default=0, ge=0, le=MOST)


class Limits(Value):
    """The limits of an owner. 0 is no limit, but for the first two, which every job is held against."""

    max_count: int = Field(ge=1)
    max_active_jobs: int = Field(ge=1)
    max_requests_per_minute: int = _MANY
    max_queued_samples: int = _MANY
    max_samples_per_day: int = _MANY
    #: Hosts trusted with webhooks; None where webhooks are off.
    webhook_hosts: frozenset[str] | None = None

    @property
    def largest_count(self) -> int:
        """Samples that one job may have: a job above another limit's whole could never be accepted."""
        wholes = (self.max_count, self.max_queued_samples, self.max_samples_per_day)
        return min(whole for whole in wholes if whole)


class LimitOverrides(Value):
    """The limits that a key sets otherwise; None leaves the deployment's."""

    max_count: int | None = Field(default=None, ge=1, le=MOST)
    max_active_jobs: int | None = Field(default=None, ge=1, le=MOST)
    max_requests_per_minute: int | None = Field(default=None, ge=0, le=MOST)
    max_queued_samples: int | None = Field(default=None, ge=0, le=MOST)
    max_samples_per_day: int | None = Field(default=None, ge=0, le=MOST)

    def over(self, limits: Limits) -> Limits:
        return Limits.model_validate(limits.model_dump() | self.model_dump(exclude_none=True))
