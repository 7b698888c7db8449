"""Processes die or stop in the middle of a job, and the job does not notice."""

import signal

from service.contract.job import Status
from tests.fixtures.fleet import Fleet, Role
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed


def test_killed_workers_lose_nothing(fleet: Fleet) -> None:
    """kill -9 of every worker in the middle of a job: new workers finish it with the same bytes."""
    fleet.start(worker=2)
    job = fleet.submit(label=0, count=40_000)
    fleet.run_into_the_middle(job)
    fleet.kill("worker")
    assert len(fleet.shard_files(job)) < 40

    fleet.start(worker=1)
    ended = fleet.wait(job)
    assert ended.status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)
    assert [shard.sha256 for shard in fleet.manifest(job).shards] == undisturbed(job.request)


def test_a_machine_that_lost_everything_finishes_its_jobs(fleet: Fleet) -> None:
    """kill -9 of API, sweep, workers and Redis at once: after a restart the same bytes."""
    job = fleet.submit(label=1, count=40_000)
    fleet.run_into_the_middle(job)
    fleet.redis_server.kill()
    fleet.kill("api", "sweep", "worker")
    assert len(fleet.shard_files(job)) < 40

    fleet.redis_server.start()
    fleet.start(api=1, sweep=1, worker=1)
    assert fleet.wait(job).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_a_terminated_worker_finishes_the_shard_in_hand(fleet: Fleet) -> None:
    """SIGTERM in the middle of a shard: it is stored, the exit code is 0, the others are left to the next worker."""
    (worker,) = fleet.living("worker")
    job = fleet.submit(decoder="large", label=2, count=3 * 8192, shard_size=8192)
    assert eventually(lambda: bool(fleet.running_shards(job)), within_s=20)
    (shard,) = fleet.running_shards(job)
    worker.signal(signal.SIGTERM)
    assert fleet.shard_files(job) == []

    assert worker.ended() == 0
    assert [event["shard"] for event in worker.events("shard_stored", job=job.id)] == [int(shard)]
    fleet.start(worker=1)
    assert fleet.wait(job).status == Status.COMPLETED
    assert _runs(fleet, job.id) == [0, 1, 2]


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(fleet: Fleet) -> None:
    """SIGSTOP past the lease: another worker makes the shard; the first one wakes, drops it, and works on."""
    zombie, other = _two_workers(fleet)
    job = fleet.submit(decoder="large", label=3, count=4 * 8192, shard_size=8192)
    assert eventually(lambda: len(fleet.running_shards(job)) == 2, within_s=20)
    zombie.signal(signal.SIGSTOP)
    try:
        assert fleet.wait(job).status == Status.COMPLETED
        stored = fleet.identities(job)
        records = fleet.look(job), fleet.manifest(job)
        assert sorted(event["shard"] for event in other.events("shard_stored", job=job.id))[-1] == 3
    finally:
        zombie.signal(signal.SIGCONT)

    assert eventually(lambda: bool(zombie.events("shard_dropped", job=job.id)), within_s=20)
    assert fleet.identities(job) == stored
    assert (fleet.look(job), fleet.manifest(job)) == records
    assert fleet.digests(job) == undisturbed(job.request)
    assert not (fleet.objects / "quarantine").exists()
    other.kill()
    assert fleet.wait(fleet.submit(label=4)).status == Status.COMPLETED


def _two_workers(fleet: Fleet) -> list[Role]:
    fleet.start(worker=2)
    return fleet.living("worker")


def _runs(fleet: Fleet, job_id: str) -> list[int]:
    """The shard of every run that ended with a stored shard, of all workers that ever lived."""
    return sorted(event["shard"] for event in fleet.events("shard_stored", job=job_id))
