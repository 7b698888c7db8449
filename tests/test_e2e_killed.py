"""Processes die or stop in the middle of a job, and the job does not notice."""

import signal

import pytest

from service.contract.job import Job, Status
from tests.fixtures.fleet import SLOW, Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.role import Role
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow


def test_killed_workers_lose_nothing(fleet: Fleet) -> None:
    """kill -9 of every worker in the middle of a job: new workers finish it with the same bytes."""
    fleet.start(worker=2)
    job = fleet.submit(label=0, count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    fleet.kill("worker")
    assert len(fleet.shard_files(job)) < 16

    fleet.start(worker=1)
    ended = fleet.wait(job)
    assert ended.status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)
    assert [shard.sha256 for shard in fleet.manifest(job).shards] == undisturbed(job.request)


def test_a_machine_that_lost_everything_finishes_its_jobs(fleet: Fleet) -> None:
    """kill -9 of API, sweep, workers and Redis at once: after a restart the same bytes."""
    job = fleet.submit(label=1, count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    fleet.redis_server.kill()
    fleet.kill("api", "sweep", "worker")
    assert len(fleet.shard_files(job)) < 16

    fleet.redis_server.start()
    fleet.start(api=1, sweep=1, worker=1)
    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_a_terminated_worker_finishes_the_shards_in_hand(fleet: Fleet) -> None:
    """SIGTERM in the middle of two: they are stored, the exit code is 0, the rest is left to the next worker."""
    (worker,) = fleet.living("worker")
    job = fleet.submit(label=2, count=3 * 8192, shard_size=8192, **SLOW)
    # One that is made, and one that waits for the core.
    assert eventually(lambda: len(fleet.running_shards(job)) == 2, within_s=20)
    held = {int(shard) for shard in fleet.running_shards(job)}
    worker.signal(signal.SIGTERM)
    assert fleet.shard_files(job) == []

    assert worker.ended() == 0
    assert {event["shard"] for event in worker.events("shard_stored", job=job.id)} == held
    fleet.start(worker=1)
    assert fleet.wait(job).status == Status.COMPLETED
    assert _runs(fleet, job.id) == [0, 1, 2]


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(fleet: Fleet) -> None:
    """SIGSTOP past the lease: another worker takes the shard; the first one wakes, drops it, and works on."""
    zombie, other = _two_workers(fleet)
    job = fleet.submit(label=3, count=6 * 4096, shard_size=4096, **SLOW)
    assert eventually(lambda: len(fleet.running_shards(job)) == 4, within_s=20)
    zombie.signal(signal.SIGSTOP)
    held = set(fleet.running_shards(job).items())
    try:
        # What the other one held is stored and over; a shard that is held anew was the zombie's.
        assert eventually(lambda: _is_held_anew(fleet, job, held), within_s=30)
    finally:
        zombie.signal(signal.SIGCONT)

    assert eventually(lambda: bool(zombie.events("shard_dropped", job=job.id)), within_s=20)
    assert zombie.events("shard_dropped")[0]["reason"] == "the job answered LOST"
    assert fleet.wait(job).status == Status.COMPLETED
    assert _runs(fleet, job.id) == list(range(6))
    assert fleet.digests(job) == undisturbed(job.request)
    assert not (fleet.objects / "quarantine").exists()
    other.kill()
    assert fleet.wait(fleet.submit(label=4)).status == Status.COMPLETED


def _is_held_anew(fleet: Fleet, job: Job, before: set[tuple[str, str]]) -> bool:
    tokens = dict(before)
    return any(
        shard in tokens and token != tokens[shard]
        for shard, token in fleet.running_shards(job).items()
    )


def _two_workers(fleet: Fleet) -> list[Role]:
    fleet.start(worker=2)
    return fleet.living("worker")


def _runs(fleet: Fleet, job_id: str) -> list[int]:
    """The shard of every run that ended with a stored shard, of all workers that ever lived."""
    return sorted(event["shard"] for event in fleet.events("shard_stored", job=job_id))
