"""When each webhook is looked at next, in Redis. A hint like the queue: the markers in storage say what is owed."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

#: A job that nobody woke us for is looked at after this all the same.
_PATIENCE_MS = 3_600_000


class Claimed(NamedTuple):
    """A webhook that one sweep has in hand until `lease_ms` of the server's clock."""

    job_id: str
    lease_ms: int


class WebhookSchedule:
    """Part of the ledger, whose scripts it runs. Every method raises LedgerUnavailable when Redis does not answer."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run

    def expect(self, job_id: str) -> None:
        """The job has begun; its end makes the webhook due. Says nothing of one that is known."""
        self._run("webhook_due", job_id, _PATIENCE_MS, "NX")

    def note(self, job_ids: Iterable[str]) -> None:
        """Due now, unless their time is known: what a rebuild found in storage, some hundreds at once."""
        self._run("webhook_note", "", *job_ids)

    def wake(self, job_id: str) -> None:
        """Due now, whatever was planned."""
        self._run("webhook_due", job_id, 0, "")

    def claim(self, limit: int, *, lease_s: float) -> list[Claimed]:
        """Up to `limit` webhooks whose time has come, the longest overdue first; for this caller alone for a while."""
        lease_ms, *jobs = self._run("webhook_claim", "", limit, int(lease_s * 1000))
        return [Claimed(job_id, int(lease_ms)) for job_id in jobs]

    def postpone(self, claimed: Claimed, *, by_s: float) -> None:
        """Look again later, unless somebody woke or took it meanwhile."""
        self._run("webhook_release", claimed.job_id, claimed.lease_ms, int(by_s * 1000))

    def drop(self, claimed: Claimed) -> None:
        """Nothing is owed any more, unless somebody woke or took it meanwhile."""
        self._run("webhook_release", claimed.job_id, claimed.lease_ms, "")
