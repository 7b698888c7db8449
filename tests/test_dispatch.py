"""Dispatch and sweep: everything due is sent, nothing piles up, and broken records stop nobody."""

from collections.abc import Callable

import pytest
import redis
import structlog

from service.adapters.queue import BULK, SMALL
from service.adapters.redis_client import check_redis, connect
from service.contract.errors import LedgerUnavailable
from service.contract.job import Job, Status
from service.contract.settings import Settings
from service.lifecycle.dispatch import BURST, MIN_WINDOW, QUEUE_WINDOWS, dispatch
from service.lifecycle.parts import Parts
from tests.fixtures.parts import now_is
from tests.fixtures.redis import free_port
from workers.sweep import Sweep

Submitted = Callable[..., Job]


def test_a_small_job_goes_to_the_queue_that_is_read_first(
    submitted: Submitted, redis_url: str
) -> None:
    """Ten images never wait behind ten thousand shards."""
    submitted(count=10)
    submitted(count=2500)
    with redis.Redis.from_url(redis_url) as client:
        assert (client.llen(SMALL), client.llen(BULK)) == (1, 3)


def test_a_large_job_never_fills_the_queue(parts: Parts, submitted: Submitted) -> None:
    """One window is out, whatever the count."""
    submitted(count=100_000)
    for _ in range(5):
        dispatch(parts, limit=10)
    assert parts.queue.length() == MIN_WINDOW


def test_many_jobs_never_fill_the_queue(parts: Parts, submitted: Submitted) -> None:
    """The queue's length is bounded by windows, not by jobs."""
    for seed in range(30):
        submitted(count=100_000, seed=seed)
    for _ in range(5):
        dispatch(parts, limit=100)
    assert parts.queue.length() <= QUEUE_WINDOWS * MIN_WINDOW


def test_a_large_fleet_is_fed_in_bursts(parts: Parts, submitted: Submitted) -> None:
    """Neither a submit nor one script takes longer because a thousand workers wait; the next look goes on."""
    parts.ledger.heartbeat("w", slots=1000, info="{}", ttl_s=60)
    submitted(count=1_000_000)
    assert parts.queue.length() == BURST
    dispatch(parts, limit=1)
    assert parts.queue.length() == 2 * BURST


def test_without_a_queue_the_job_waits_in_the_outbox(
    parts: Parts, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that could not be sent is not an error for who submits."""

    def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(parts.queue._app, "send_task", refused)
    job = submitted()
    assert now_is(parts, job).status == Status.QUEUED
    assert parts.queue.length() == 0


def test_a_sweep_rebuilds_an_emptied_redis_at_once(
    parts: Parts, submitted: Submitted, redis_url: str
) -> None:
    """Not only at the next interval: the boot key is gone."""
    sweep = Sweep(parts, rebuild_interval_s=3600)
    job = submitted()
    sweep.turn()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    sweep.turn()
    assert now_is(parts, job).status == Status.QUEUED
    assert parts.ledger.read(job.id) is not None
    assert parts.queue.length() == 3


def test_a_broken_job_does_not_stop_the_sweep(
    parts: Parts, submitted: Submitted, redis_url: str
) -> None:
    """Records that do not parse are logged; the other jobs are sent."""
    broken = submitted()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    Sweep(parts, rebuild_interval_s=3600).turn()
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"lm:job:{broken.id}", "status", "finalizing")
        client.hset(f"lm:job:{broken.id}", "request", "{}")
        client.zadd("lm:due:anonymous", {broken.id: 0})
        client.delete(SMALL, BULK)
    other = submitted(seed=7)
    with structlog.testing.capture_logs() as told:
        Sweep(parts, rebuild_interval_s=3600).turn()
    assert ("job_stuck", broken.id) in [(line["event"], line.get("job")) for line in told]
    assert now_is(parts, other).status == Status.QUEUED
    assert parts.queue.length() == 3


def test_a_redis_that_may_evict_is_warned_of(redis_url: str) -> None:
    """The warning says why; noeviction is silent."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        with structlog.testing.capture_logs() as quiet:
            check_redis(client)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with structlog.testing.capture_logs() as loud:
                check_redis(client)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert quiet == []
    assert loud[0]["event"] == "redis_may_evict"
    assert "noeviction" in loud[0]["why"]


def test_a_redis_that_is_away_is_named_at_start() -> None:
    """Which, where, and what to set."""
    port = free_port()
    client = connect(Settings(redis_url=f"redis://127.0.0.1:{port}/0"))
    with pytest.raises(LedgerUnavailable, match=f"{port}.*LATENTMILL_REDIS_URL"):
        check_redis(client)
