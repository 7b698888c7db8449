"""The queue holds hints: doubled they cost nothing, and no job stands in another's way."""

import time

import pytest

from service.contract.job import Job, Status
from tests.fixtures.fleet import SLOW, Fleet, NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def module_fleet(new_fleet: NewFleet) -> Fleet:
    """With the leases of a deployment, so that a slow machine does not make a run late."""
    return new_fleet(lease_s=20, queue_lease_s=30)


def test_every_message_twice_makes_no_shard_twice(idle_fleet: Fleet) -> None:
    """Two workers, each shard sent twice beside the dispatcher: stored once, no run wasted."""
    fleet = idle_fleet
    fleet.start(worker=0)
    job = fleet.submit(label=0, count=40_000, **SLOW)
    for shard in [*range(40), *range(40)]:
        fleet.parts.queue.send_shard(job.id, shard, small=False)
    assert fleet.parts.queue.length() >= 80
    fleet.start(worker=2)

    ended = fleet.wait(job)
    assert (ended.status, ended.progress.shards_done) == (Status.COMPLETED, 40)
    assert ended.progress.shards_reused == 0
    assert eventually(lambda: fleet.parts.queue.length() == 0, within_s=20)
    runs = fleet.events("shard_stored", job=job.id)
    assert sorted(run["shard"] for run in runs) == list(range(40))
    assert {run["verdict"] for run in runs} == {"OK", "LAST"}
    assert all(worker.events("shard_stored") for worker in fleet.living("worker"))
    assert fleet.digests(job) == undisturbed(job.request)
    assert not (fleet.objects / "quarantine").exists()


def test_a_worker_is_ready_before_it_takes_messages(fleet: Fleet) -> None:
    """Kernels are compiled and decoders loaded first: no job waits for either."""
    told = fleet.living("worker")[0].log.read_text()
    assert told.index("kernels_ready") < told.index("decoder_warm") < told.index("worker_ready")


def test_messages_of_no_job_are_let_go(fleet: Fleet) -> None:
    """A shard of an unknown job, one that its job does not have, one that is done: nothing happens."""
    ended = fleet.wait(fleet.submit(label=1))
    running = fleet.submit(label=2, count=20_000)
    for job_id, shard in [("a" * 32, 0), (ended.id, 0), (running.id, 9_999), (running.id, -1)]:
        fleet.parts.queue.send_shard(job_id, shard, small=True)
    assert fleet.wait(running).status == Status.COMPLETED
    assert fleet.look(running).progress.shards_done == 20
    assert fleet.look(ended) == ended
    assert fleet.events("shard_failed") == []
    assert fleet.redis.exists(f"lm:job:{running.id}:leases") == 0


def test_a_cancelled_job_stops_within_a_second(fleet: Fleet) -> None:
    """It is `cancelled` at once, no shard of it appears any more, and the other job goes on."""
    job = fleet.submit(label=6, count=100_000, **SLOW)
    other = fleet.submit(label=7, count=30_000)
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
    job = fleet.submit(label=2, count=16_384, shard_size=16_384, **SLOW)
    assert eventually(lambda: bool(fleet.running_shards(job)), within_s=20)
    fleet.http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
    assert eventually(lambda: bool(fleet.events("shard_dropped", job=job.id)), within_s=10)
    assert fleet.shard_files(job) == []
    assert fleet.look(job).status == Status.CANCELLED


def test_a_small_job_does_not_wait_for_a_large_one(fleet: Fleet) -> None:
    """One image asked for behind many shards of several jobs is there before any of them has ended."""
    large = [fleet.submit(label=label, count=10_000, **SLOW) for label in (3, 4, 5)]
    fleet.run_into_the_middle(large[0])
    one = fleet.wait(fleet.submit(label=8, count=1))
    assert one.status == Status.COMPLETED
    assert not any(_has_ended(fleet, job) for job in large)
    (accepted,) = fleet.events("job_accepted", job=one.id)
    (stored,) = fleet.events("shard_stored", job=one.id)
    between = [
        shard
        for shard in fleet.events("shard_stored")
        if accepted["timestamp"] < shard["timestamp"] < stored["timestamp"]
    ]
    # The one in hand, the one already fetched, and what the clocks of two logs leave open; a dozen were queued.
    assert len(between) <= 5
    assert [fleet.wait(job).status for job in large] == [Status.COMPLETED] * 3


def _has_ended(fleet: Fleet, job: Job) -> bool:
    return fleet.look(job).status.is_terminal
