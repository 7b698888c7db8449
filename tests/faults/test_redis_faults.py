"""Redis is torn, full, or loses a race: what it says is never half a transition, and storage has the last word."""

import threading
from pathlib import Path

import pytest
import redis

from service.adapters.queue import celery_app
from service.contract import layout
from service.contract.errors import JobNotCancellable, LedgerUnavailable
from service.contract.job import Outcome, Status
from service.contract.settings import Settings
from service.lifecycle.end import cancel
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, submit
from tests.faults.survivor import Survivor
from tests.fixtures.api import Api
from tests.fixtures.parts import LIMITS, ask, new_studio, now_is
from tests.fixtures.redis import RedisServer
from workers.shard import run_shard


@pytest.mark.parametrize("bytes_lost", [1, 20, 120, 700])
def test_a_torn_append_only_file_loses_whole_steps(
    fragile: Api, own_redis: RedisServer, bytes_lost: int
) -> None:
    """kill -9, and the end of the file is gone: done equals the bitmap's count, and the job ends as it would have."""
    job = fragile.accepted()
    fragile.run(job["id"], 0)
    own_redis.kill()
    (log,) = (own_redis.folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(log.read_bytes()[:-bytes_lost])
    own_redis.start()

    survivor = Survivor(own_redis.url, fragile.parts.storage)
    entry = survivor.parts.ledger.read(job["id"])
    if entry is not None:
        done = survivor.redis.bitcount(f"lm:job:{job['id']}:done")
        assert entry.progress.shards_done == done
    ended = survivor.live_on(job["id"])
    assert ended.status == Status.COMPLETED
    survivor.is_whole(ended)


def test_a_full_redis_refuses_and_loses_nothing(fragile: Api, own_redis: RedisServer) -> None:
    """At `maxmemory` a submit is 503 and leaves nothing; a shard's lease brings it back when there is room."""
    job = fragile.accepted()
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
        before = fragile.stored()
        assert fragile.submit(seed=1).status_code == 503
        assert fragile.stored() == before
        with pytest.raises(LedgerUnavailable):
            fragile.run(job["id"], 0)
        client.config_set("maxmemory", 0)
    survivor = Survivor(own_redis.url, fragile.parts.storage)
    ended = survivor.live_on(job["id"])
    assert ended.status == Status.COMPLETED
    survivor.is_whole(ended)


def test_a_cancel_while_storage_is_away_is_kept(api: Api, redis_url: str, tmp_path: Path) -> None:
    """202 and `cancelling` at once, `cancelled` when storage can hold the outcome; no shard is made in between."""
    job = api.accepted()
    objects = tmp_path / "objects"
    away = objects.rename(tmp_path / "away")
    answer = api.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    assert api.run(job["id"], 0) == "STOP"
    away.rename(objects)
    survivor = Survivor(redis_url, api.parts.storage)
    assert survivor.live_on(job["id"]).status == Status.CANCELLED
    assert api.stored("shards/") == []


@pytest.mark.parametrize("lead", range(16))
def test_a_cancel_races_the_last_commit(parts: Parts, lead: int) -> None:
    """Whoever comes first: one outcome, and it is what the one who cancelled was told."""
    job = submit(parts, ask(count=1), owner=ANONYMOUS, limits=LIMITS).job
    studio, told, start = new_studio(parts), [], threading.Barrier(2)

    def cancelled() -> None:
        start.wait()
        threading.Event().wait(lead / 1600)
        try:
            told.append(cancel(parts, job.id, owner=ANONYMOUS).status)
        except JobNotCancellable:
            told.append(Status.COMPLETED)

    canceller = threading.Thread(target=cancelled)
    canceller.start()
    start.wait()
    run_shard(studio, job.id, 0)
    canceller.join()
    outcome = Outcome.model_validate_json(parts.storage.get(layout.job_outcome(job.id)))
    assert [outcome.status] == told == [now_is(parts, job).status]


def test_no_pool_that_loses_its_task(redis_url: str) -> None:
    """Soft shutdown of a thread pool acknowledges what it interrupts (celery#10490), so it is off."""
    conf = celery_app(Settings(redis_url=redis_url)).conf  # type: ignore[arg-type] # given as text
    assert conf.worker_soft_shutdown_timeout == 0
    assert conf.worker_cancel_long_running_tasks_on_connection_loss is False
    assert conf.task_acks_late
    assert (conf.accept_content, conf.result_backend) == (["json"], None)
