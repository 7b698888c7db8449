"""Which limit refused a submit, told as the error that its caller can act on."""

from collections.abc import Callable
from typing import NamedTuple

from service.adapters.ledger_values import Admission
from service.contract.errors import (
    Allowance,
    DayUsedUp,
    LimitReached,
    TooManyJobs,
    TooManyQueued,
    TooManyRequests,
)
from service.contract.limits import Limits


class _Policy(NamedTuple):
    """How one limit of the admission script is told."""

    error: type[LimitReached]
    quota: Callable[[Limits], int]
    unit: str
    window_s: int | None
    told: str


_POLICIES = {
    "requests": _Policy(
        TooManyRequests,
        lambda limits: limits.max_requests_per_minute,
        "requests",
        60,
        "{quota} jobs a minute may be asked for; ask for fewer and larger ones",
    ),
    "active-jobs": _Policy(
        TooManyJobs,
        lambda limits: limits.max_active_jobs,
        "jobs",
        None,
        "{quota} jobs are active; wait for one to finish",
    ),
    "queued-samples": _Policy(
        TooManyQueued,
        lambda limits: limits.max_queued_samples,
        "samples",
        None,
        "unfinished jobs may hold {quota} images together and have room for {left}; wait for one to finish",
    ),
    "samples-per-day": _Policy(
        DayUsedUp,
        lambda limits: limits.max_samples_per_day,
        "samples",
        86_400,
        "{left} of {quota} images a day (UTC) are left; ask for fewer, or tomorrow",
    ),
}


def refusal_of(admission: Admission, limits: Limits) -> LimitReached:
    """The error for a submit that the ledger did not admit, with what is left of the limit."""
    policy = _POLICIES[admission.limit]
    quota = policy.quota(limits)
    error = policy.error(policy.told.format(quota=quota, left=admission.left))
    error.allowance = Allowance(
        admission.limit, quota, policy.unit, admission.left, policy.window_s
    )
    # Only another job's end helps where the script knows no time.
    error.retry_after_s = admission.wait_s or LimitReached.retry_after_s
    return error
