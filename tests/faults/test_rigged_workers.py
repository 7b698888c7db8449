"""Workers that die, hang or run out of something in the middle of their work; the fleet is real processes."""

import resource
import signal
import time
from pathlib import Path

import pytest

from service.contract.job import Job, Status
from tests.faults.rigged import UNLUCKY
from tests.fixtures.fleet import Fleet, NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.role import Role
from tests.fixtures.undisturbed import undisturbed
from workers.heart import WEDGED

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def module_fleet(new_fleet: NewFleet) -> Fleet:
    return new_fleet(max_attempts=2)


@pytest.fixture
def idle(idle_fleet: Fleet) -> Fleet:
    """API and sweep; workers are the test's."""
    idle_fleet.kill("worker")
    return idle_fleet


def ends_well(fleet: Fleet, job: Job) -> None:
    ended = fleet.wait(job, within_s=90)
    assert ended.status == Status.COMPLETED, ended.error
    assert fleet.digests(job) == undisturbed(job.request)
    assert eventually(lambda: _nothing_is_out(fleet, job), within_s=30)


def _nothing_is_out(fleet: Fleet, job: Job) -> bool:
    return fleet.parts.queue.length() == 0 and not fleet.redis.exists(f"lm:job:{job.id}:leases")


def test_a_message_that_died_with_its_worker_is_sent_again(idle: Fleet) -> None:
    """kill -9 between BRPOP and `unacked`: the queue and `unacked` are empty, and the lease brings the shard back."""
    worker = idle.start_hurt("worker", rig="lost message")
    job = idle.submit(label=0, count=1)
    assert worker.ended() == -signal.SIGKILL
    assert idle.redis.hlen("unacked") == 0
    idle.start(worker=1)
    ends_well(idle, job)


def test_a_shard_delivered_again_after_its_commit_is_done(idle: Fleet) -> None:
    """kill -9 between COMMIT and the acknowledgement: the message comes again and changes nothing."""
    worker = idle.start_hurt("worker", rig="before ack")
    job = idle.submit(label=1, count=2048)
    assert worker.ended() == -signal.SIGKILL
    committed = {event["shard"] for event in worker.events("shard_stored", job=job.id)}
    assert committed
    before = idle.identities(job)
    idle.start(worker=1)
    for shard in committed:
        idle.parts.queue.send_shard(job.id, shard, small=False)
    ends_well(idle, job)
    assert set(before) <= set(idle.identities(job))
    assert sorted(e["shard"] for e in idle.events("shard_stored", job=job.id)) == [0, 1]


@pytest.mark.parametrize("rig", ["poison", "segfault"])
def test_a_shard_that_kills_its_worker_fails_its_job_alone(idle: Fleet, rig: str) -> None:
    """After its attempts the job has failed with a reason; jobs beside it complete."""
    poisoned, healthy = idle.submit(count=1, seed=UNLUCKY), idle.submit(seed=14 + len(rig))
    deaths = []

    def has_ended() -> bool:
        if not idle.living("worker"):
            deaths.append(idle.start_hurt("worker", rig=rig))
        return idle.look(poisoned).status.is_terminal

    assert eventually(has_ended, within_s=200)
    failed = idle.look(poisoned)
    assert (failed.status, failed.error) == (
        Status.FAILED,
        "shard 0 failed 2 times: its worker died each time",
    )
    assert sum(not role.is_alive for role in deaths) == 2
    ends_well(idle, healthy)


def test_memory_that_is_not_there_wedges_no_worker(idle: Fleet) -> None:
    """A MemoryError is the shard's failure: the same process takes the next message, and the next."""
    worker = idle.start_hurt("worker", rig="no memory")
    exhausted = [idle.submit(count=count, seed=UNLUCKY) for count in (1, 2, 3)]
    for job in exhausted:
        failed = idle.wait(job)
        assert failed.status == Status.FAILED
        assert "shard_size" in str(failed.error)
    ends_well(idle, idle.submit(seed=22))
    assert worker.is_alive


def test_a_worker_that_hangs_ends_itself_and_another_makes_the_shard(idle: Fleet) -> None:
    """Exit code 70 after `shard_timeout_s`; the job completes elsewhere."""
    hung = idle.start_hurt("worker", rig="hung", shard_timeout_s=2)
    job = idle.submit(count=1, seed=UNLUCKY, label=5)
    assert eventually(lambda: bool(idle.running_shards(job)), within_s=60)
    idle.start_hurt("worker")
    assert hung.ended() == WEDGED
    ends_well(idle, job)


def test_a_task_that_outlasts_the_brokers_patience_runs_once(idle: Fleet) -> None:
    """The broker delivers it again and again meanwhile; each time the shard answers BUSY."""
    for _ in range(2):
        idle.start_hurt("worker", rig="impatient broker")
    job = idle.submit(seed=UNLUCKY, label=6)
    ends_well(idle, job)
    assert sorted(e["shard"] for e in idle.events("shard_stored", job=job.id)) == [0, 1, 2]


def test_a_worker_without_files_to_open_is_not_wedged(idle: Fleet) -> None:
    """No descriptor is left: shards are given back uncounted or the process ends; then the job completes."""
    idle.start(worker=1)
    (worker,) = idle.living("worker")
    limits = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    job = idle.submit(seed=23)
    assert eventually(lambda: _has_noticed(worker, job), within_s=60)
    assert set(idle.redis.hvals(f"lm:job:{job.id}:attempts")) <= {"0", "1"}
    if worker.is_alive:
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, limits)

    def has_ended() -> bool:
        # As a supervisor does: a worker whose consumer broke ends itself after a minute without a message.
        idle.start(worker=1)
        return idle.look(job).status.is_terminal

    assert eventually(has_ended, within_s=150)
    ends_well(idle, job)


def _has_noticed(worker: Role, job: Job) -> bool:
    return not worker.is_alive or bool(worker.events("shard_failed", job=job.id))


def test_a_worker_that_is_terminated_and_then_killed_loses_nothing(idle: Fleet) -> None:
    """SIGTERM, and SIGKILL before its shard was ready: another worker makes it."""
    worker = idle.start_hurt("worker", rig="slow")
    job = idle.submit(seed=UNLUCKY, label=7)
    assert eventually(lambda: bool(idle.running_shards(job)), within_s=60)
    worker.signal(signal.SIGTERM)
    time.sleep(0.3)
    worker.signal(signal.SIGKILL)
    assert worker.ended() == -signal.SIGKILL
    idle.start(worker=1)
    ends_well(idle, job)


def test_a_worker_two_hours_ahead_disturbs_nobody(idle: Fleet) -> None:
    """Its broker client takes every living message for abandoned; leases use Redis's clock, so nothing runs twice."""
    workers = [idle.start_hurt("worker", rig=rig) for rig in ("slow", "two hours ahead")]
    job = idle.submit(seed=UNLUCKY, label=8, count=16 * 1024)
    ends_well(idle, job)
    runs = sorted(e["shard"] for e in idle.events("shard_stored", job=job.id))
    assert runs == list(range(16))
    assert all(worker.events("shard_stored", job=job.id) for worker in workers)
