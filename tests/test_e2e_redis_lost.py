"""Redis forgets in the middle of a job; storage does not, so the job ends as if nothing had happened."""

import shutil
from collections.abc import Callable

import pytest

from service.contract.job import Job, Status
from tests.fixtures.fleet import SLOW, Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow


def _flushed(fleet: Fleet) -> None:
    fleet.redis.flushall()


def _restarted(fleet: Fleet) -> None:
    fleet.redis_server.kill()
    fleet.redis_server.start()


def _replaced(fleet: Fleet) -> None:
    fleet.replace_redis()


def _flushed_again_and_again(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.redis.flushall()
        fleet.redis.connection_pool.disconnect()
        assert eventually(lambda: fleet.redis.exists("lm:boot") == 1, within_s=20)


@pytest.mark.parametrize("loss", [_flushed, _restarted, _replaced, _flushed_again_and_again])
def test_a_lost_redis_loses_no_job(fleet: Fleet, loss: Callable[[Fleet], None]) -> None:
    """FLUSHALL, kill -9 with and without its append-only file: the job completes with the same bytes."""
    job = fleet.submit(label=_LABELS[loss], count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    loss(fleet)
    assert len(fleet.shard_files(job)) < 16

    ended = fleet.wait(job)
    assert (ended.status, ended.progress.samples_done) == (Status.COMPLETED, 16_000)
    assert fleet.digests(job) == undisturbed(job.request)
    assert [shard.sha256 for shard in fleet.manifest(job).shards] == undisturbed(job.request)
    assert not list((fleet.objects / "active").glob("*"))


_LABELS = {_flushed: 0, _restarted: 1, _replaced: 2, _flushed_again_and_again: 3}


def test_an_older_redis_does_not_wake_an_ended_job(fleet: Fleet) -> None:
    """Redis comes back from a backup in which a cancelled job still ran: it is and stays cancelled."""
    appended = fleet.redis_server.folder / "appendonlydir"
    backup = fleet.redis_server.folder / "backup"
    job = fleet.submit(label=5, count=60_000, **SLOW)
    fleet.run_into_the_middle(job)
    shutil.copytree(appended, backup)
    fleet.http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
    assert fleet.look(job).status == Status.CANCELLED

    fleet.redis_server.kill()
    shutil.rmtree(appended)
    shutil.move(backup, appended)
    fleet.redis_server.start()
    assert eventually(lambda: _is_cancelled(fleet, job), within_s=20)
    assert len(fleet.shard_files(job)) < 59


def _is_cancelled(fleet: Fleet, job: Job) -> bool:
    return fleet.look(job).status == Status.CANCELLED


def test_the_api_answers_for_ended_jobs_that_redis_forgot(fleet: Fleet) -> None:
    """After FLUSHALL an ended job is told from storage, word for word."""
    ended = fleet.wait(fleet.submit(label=6))
    manifest = fleet.manifest(ended)
    fleet.redis.flushall()
    assert fleet.look(ended) == ended
    assert fleet.manifest(ended) == manifest


def test_a_submit_without_redis_leaves_nothing(fleet: Fleet) -> None:
    """503 while Redis is away, and no job appears when it is back."""
    before = sorted((fleet.objects / "jobs").glob("*"))
    fleet.redis_server.kill()
    answer = fleet.http.post("/v1/jobs", json={"decoder": "tiny", "label": 7, "count": 1})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    fleet.redis_server.start()
    assert fleet.wait(fleet.submit(label=8)).status == Status.COMPLETED
    assert len(sorted((fleet.objects / "jobs").glob("*"))) == len(before) + 1
