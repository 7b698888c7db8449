"""`/metrics`: what of a service Prometheus is told, held against what was done."""

from typing import Any

import pytest

from service.lifecycle.finish import finish
from tests.fixtures.api import Api
from tests.fixtures.ledger import record
from tests.fixtures.metrics import of_the_fleet, parsed
from workers.shard import RETRY_S


def metrics_of(api: Api) -> dict[str, float]:
    return parsed(api.http.get("/metrics"))


def fleet_metrics(api: Api) -> dict[str, float]:
    return of_the_fleet(metrics_of(api))


def test_a_quiet_service_tells_its_fleet(api: Api) -> None:
    """Workers, messages and jobs as they are; counters from nought; nothing that nobody knows."""
    api.accepted(seed=1)
    job = api.accepted(seed=2)
    api.http.post(job["links"]["cancel"])
    api.parts.ledger.heartbeat("worker", slots=3, info='{"cores": 2}', ttl_s=60)
    api.parts.ledger.audits.note("agreed")
    told = fleet_metrics(api)
    assert told.pop("latentmill_queue_messages") == api.parts.queue.length() > 0
    assert told == {
        "latentmill_redis_up": 1,
        "latentmill_workers": 1,
        "latentmill_worker_slots": 3,
        "latentmill_worker_cores": 2,
        "latentmill_active_jobs": 1,
        "latentmill_backlog_images": 2500,
        "latentmill_audits{result=agreed}": 1,
        "latentmill_jobs_total{status=completed}": 0,
        "latentmill_jobs_total{status=failed}": 0,
        "latentmill_jobs_total{status=cancelled}": 1,
        "latentmill_shards_total{how=made}": 0,
        "latentmill_shards_total{how=reused}": 0,
        "latentmill_attempts_begun_total": 0,
        "latentmill_attempts_ended_total{how=failed}": 0,
        "latentmill_attempts_ended_total{how=hopeless}": 0,
        "latentmill_attempts_ended_total{how=unavailable}": 0,
        "latentmill_attempts_ended_total{how=silent}": 0,
        "latentmill_images_total": 0,
        "latentmill_archive_bytes_total": 0,
        "latentmill_busy_seconds_total": 0,
        "latentmill_turns_lent_total": 0,
    }


def test_what_was_made_is_counted_once(api: Api) -> None:
    """Images, archives and time of what workers made; what was stored before is told apart; jobs by how they ended."""
    job = api.completed()
    api.completed(format="zip")
    told = fleet_metrics(api)
    assert told["latentmill_images_total"] == 2500
    assert told["latentmill_shards_total{how=made}"] == 3
    assert told["latentmill_shards_total{how=reused}"] == 3
    assert told["latentmill_attempts_begun_total"] == 6
    assert told["latentmill_jobs_total{status=completed}"] == 2
    assert told["latentmill_busy_seconds_total"] > 0
    size = api.http.get(job["links"]["manifest"]).json()["size_bytes"]
    assert told["latentmill_archive_bytes_total"] == size
    assert told["latentmill_backlog_images"] == 0


def test_the_backlog_is_what_is_not_stored(api: Api) -> None:
    """By hand: images of shards that are not stored, over the cores, at the time of those that were made."""
    job = api.accepted(seed=7)
    api.run(job["id"], 0)
    assert "latentmill_backlog_seconds" not in metrics_of(api)
    api.parts.ledger.heartbeat("worker", slots=3, info='{"cores": 2}', ttl_s=60)
    told = fleet_metrics(api)
    assert told["latentmill_backlog_images"] == 2500 - 1024
    each_s = told["latentmill_busy_seconds_total"] / told["latentmill_images_total"]
    by_hand = (2500 - 1024) * each_s / 2
    assert told["latentmill_backlog_seconds"] == pytest.approx(by_hand, abs=0.001)


def test_tries_that_stored_nothing_are_told_by_why(api: Api) -> None:
    """A worker that died, one that failed, one whose store was away, and what no try can help."""
    ledger, job = api.parts.ledger, api.accepted(count=5000)["id"]

    def tried(shard: int, **how: Any) -> None:
        ledger.begin(job, shard, "token")
        ledger.release(job, shard, "token", reason="told so", **how)

    tried(0, retry_s=RETRY_S)
    tried(1, retry_s=RETRY_S, counts=False)
    ledger.begin(job, 2, "token")
    # As if its worker's lease had run out.
    ledger._redis.zadd(f"lm:job:{job}:leases", {"2": 1})
    ledger.claim(job, window=9, room=9)
    tried(3, retry_s=None)
    told = fleet_metrics(api)
    for how in ("failed", "unavailable", "silent", "hopeless"):
        assert told[f"latentmill_attempts_ended_total{{how={how}}}"] == 1, how
    assert told["latentmill_attempts_begun_total"] == 4


def test_lent_turns_are_counted(api: Api) -> None:
    """How often priority changed what ran."""
    slow = api.accepted(seed=1, priority="bulk")
    api.accepted(seed=2, priority="interactive")
    api.parts.ledger.choose(slow["id"], 0)
    assert fleet_metrics(api)["latentmill_turns_lent_total"] == 1


def test_an_outcome_is_counted_once(api: Api) -> None:
    """However often a finisher repeats itself."""
    job = api.completed(count=10)
    api.parts.ledger.commit(job["id"], 0, record(), reused=False)
    finish(api.parts, job["id"])
    assert fleet_metrics(api)["latentmill_jobs_total{status=completed}"] == 1


def test_requests_are_counted_by_route(api: Api) -> None:
    """Ids, and paths and methods that strangers make up, are no series of their own."""
    job = api.accepted(count=10)
    for path in (f"/v1/jobs/{job['id']}", "/v1/jobs/no-such-job", "/no/such/path", "/nor/this"):
        api.http.get(path)
    api.http.request("BREW", "/pot")
    api.http.post("/v1/jobs", json={})
    told = metrics_of(api)
    requests = {name: value for name, value in told.items() if "http_requests_total" in name}
    assert requests == {
        "latentmill_http_requests_total{method=POST,route=/v1/jobs,status=202}": 1,
        "latentmill_http_requests_total{method=POST,route=/v1/jobs,status=422}": 1,
        "latentmill_http_requests_total{method=GET,route=/v1/jobs/{job_id},status=200}": 1,
        "latentmill_http_requests_total{method=GET,route=/v1/jobs/{job_id},status=404}": 1,
        "latentmill_http_requests_total{method=any,route=none,status=404}": 3,
    }
    assert told["latentmill_http_requests_in_progress"] == 1
    seconds = "latentmill_http_request_seconds"
    assert told[f"{seconds}_count{{method=POST,route=/v1/jobs}}"] == 2
    assert 0 < told[f"{seconds}_sum{{method=POST,route=/v1/jobs}}"] < 10
