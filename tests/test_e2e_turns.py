"""Jobs beside each other: one is cancelled, one is small, and neither is in the other's way."""

import time

from service.contract.job import Job, Status
from tests.fixtures.fleet import Fleet
from tests.fixtures.processes import eventually


def test_a_cancelled_job_stops_within_a_second(fleet: Fleet) -> None:
    """It is `cancelled` at once, no shard of it appears any more, and the other job goes on."""
    job = fleet.submit(label=0, count=100_000)
    other = fleet.submit(label=1, count=30_000)
    fleet.run_into_the_middle(job)
    asked = time.monotonic()
    assert fleet.http.post(f"/v1/jobs/{job.id}/cancel").status_code == 202
    assert eventually(lambda: fleet.look(job).status == Status.CANCELLED, within_s=2)
    assert time.monotonic() - asked < 2
    time.sleep(0.5)  # What was past its last look at the ledger may still be written.
    stored = fleet.shard_files(job)
    assert 3 <= len(stored) < 98

    ended = fleet.wait(other)
    assert (ended.status, ended.progress.shards_done) == (Status.COMPLETED, 30)
    assert fleet.shard_files(job) == stored
    assert fleet.look(job).status == Status.CANCELLED
    assert fleet.http.post(f"/v1/jobs/{job.id}/cancel").status_code == 409


def test_a_shard_in_hand_is_dropped_when_its_job_is_cancelled(fleet: Fleet) -> None:
    """A worker in the middle of a large shard sees it by its heartbeat and writes nothing."""
    job = fleet.submit(decoder="large", label=2, count=16_384, shard_size=16_384)
    assert eventually(lambda: bool(fleet.running_shards(job)), within_s=20)
    fleet.http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
    assert eventually(lambda: bool(fleet.events("shard_dropped", job=job.id)), within_s=10)
    assert fleet.shard_files(job) == []
    assert fleet.look(job).status == Status.CANCELLED


def test_a_small_job_does_not_wait_for_a_large_one(fleet: Fleet) -> None:
    """One image asked for behind many shards of several jobs is there before any of them has ended."""
    large = [fleet.submit(label=label, count=30_000) for label in (3, 4, 5)]
    fleet.run_into_the_middle(large[0])
    one = fleet.wait(fleet.submit(label=8, count=1))
    assert one.status == Status.COMPLETED
    assert not any(_has_ended(fleet, job) for job in large)
    assert [fleet.wait(job).status for job in large] == [Status.COMPLETED] * 3


def _has_ended(fleet: Fleet, job: Job) -> bool:
    return fleet.look(job).status.is_terminal
