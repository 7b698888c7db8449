"""Messages are only hints: doubled, they change nothing and cost nothing."""

import pytest

from service.contract.job import Status
from tests.fixtures.fleet import Fleet, NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed


@pytest.fixture(scope="module")
def module_fleet(new_fleet: NewFleet) -> Fleet:
    """With the leases of a deployment, so that a slow machine does not make a run late."""
    return new_fleet(lease_s=20, queue_lease_s=30)


def test_every_message_twice_makes_no_shard_twice(fleet: Fleet) -> None:
    """Two workers, each shard sent twice beside the dispatcher: stored once, no run wasted."""
    fleet.start(worker=0)
    job = fleet.submit(label=0, count=40_000)
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
