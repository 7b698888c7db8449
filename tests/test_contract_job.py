"""A job's statuses: which may follow which, and what each allows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from service.contract.job import Job, Outcome, Progress, Status

#: The whole table, so that a new way between two statuses is a decision and not an accident.
LEGAL = {
    "queued": {"running", "finalizing", "cancelling", "failing"},
    "running": {"finalizing", "cancelling", "failing"},
    "finalizing": {"running", "completed"},
    "cancelling": {"cancelled"},
    "failing": {"failed"},
    "completed": set(),
    "failed": set(),
    "cancelled": set(),
}


@pytest.mark.parametrize("status", list(Status))
def test_only_legal_transitions(status: Status) -> None:
    """Every pair of statuses is decided one way or the other."""
    assert {other.value for other in Status if status.may_become(other)} == LEGAL[status]


@pytest.mark.parametrize("status", list(Status))
def test_terminal_means_no_way_out(status: Status) -> None:
    """A terminal status is final, and every other one reaches a terminal status."""
    assert status.is_terminal is (LEGAL[status] == set())
    assert status.is_terminal or any(end.is_terminal for end in reachable(status))


def reachable(status: Status) -> set[Status]:
    found: set[Status] = set()
    ahead = {status}
    while ahead:
        found |= ahead
        ahead = {other for here in ahead for other in Status if here.may_become(other)} - found
    return found


def test_a_job_past_its_last_shard_cannot_be_cancelled() -> None:
    """`finalizing` leads to `cancelling` only through a hole that sends it back to `running`."""
    assert not Status.FINALIZING.may_become(Status.CANCELLING)
    assert not Status.FINALIZING.may_become(Status.CANCELLED)


@pytest.mark.parametrize(
    ("intent", "outcome"),
    [("finalizing", "completed"), ("cancelling", "cancelled"), ("failing", "failed")],
)
def test_each_intent_has_one_outcome(intent: str, outcome: str) -> None:
    """An intent is legal only towards the terminal status it is named for."""
    assert Status(intent).intended_outcome == outcome
    assert {other for other in LEGAL[intent] if Status(other).is_terminal} == {outcome}


def test_only_queued_and_running_want_shards() -> None:
    """A job that is being stopped or finished gets no new work."""
    assert {status.value for status in Status if status.wants_shards} == {"queued", "running"}
    assert {
        status.value
        for status in Status
        if status.intended_outcome is None and not status.is_terminal
    } == {
        "queued",
        "running",
    }


def test_moments_are_spelled_in_utc_with_milliseconds() -> None:
    """Two processes in two time zones write one moment alike."""
    here = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    outcome = Outcome(
        id="job-12345", status=Status.COMPLETED, progress=Progress(), finished_at=here
    )
    assert '"finished_at": "2026-01-01T21:34:05.678Z"' in outcome.to_json().decode()


def test_a_moment_without_a_zone_is_refused() -> None:
    """A naive time means another moment on another machine."""
    with pytest.raises(ValidationError, match="timezone"):
        Outcome(id="j", status=Status.FAILED, progress=Progress(), finished_at=datetime(2026, 1, 2))


def test_an_outcome_reads_back_as_written() -> None:
    """`outcome.json` is the terminal record: statuses are words, unknown fields are errors."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    outcome = Outcome(
        id="job-12345",
        status=Status.FAILED,
        error="storage is full",
        progress=Progress(samples_total=10, shards_total=1),
        finished_at=moment,
    )
    assert Outcome.model_validate_json(outcome.to_json()) == outcome
    with pytest.raises(ValidationError, match="Extra inputs"):
        Outcome.model_validate_json(outcome.to_json().replace(b'"error"', b'"eror": null, "error"'))


def test_a_job_is_frozen() -> None:
    """A status changes in the ledger, never in a value somebody holds."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    job = Job(
        id="job-12345", status=Status.QUEUED, request=None, progress=Progress(), created_at=moment
    )
    with pytest.raises(ValidationError, match="frozen"):
        job.status = Status.COMPLETED  # type: ignore[misc]
