"""When Redis or storage is away: quick refusals, nothing left behind, health that says so."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from tests.fixtures.api import Api, problem_of, start_api, until
from tests.fixtures.metrics import of_the_fleet, parsed
from tests.fixtures.parts import ask
from tests.fixtures.redis import RedisServer, free_port
from workers.sweep import Sweep

#: What a client may have to wait for a refusal.
SOON_S = 5.0


class Frozen:
    """A Redis that holds its connections and answers nothing, until the end of the block."""

    def __init__(self, server: RedisServer) -> None:
        assert server.process is not None
        self._pid = server.process.pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


def soon(send: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of `send()`, which came in time."""
    started = time.monotonic()
    answer = send()
    assert time.monotonic() - started < SOON_S
    return answer


def at_once(send: Callable[[], httpx.Response], *, times: int) -> list[httpx.Response]:
    """The answers to so many at the same time, each of which came in time."""
    with ThreadPoolExecutor(times) as crowd:
        return list(crowd.map(soon, [send] * times))


def refused(api: Api, answer: httpx.Response) -> None:
    told = problem_of(answer, status=503, slug="unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    # Where Redis and storage are is nobody's business outside.
    assert "127.0.0.1" not in told["detail"]
    assert "/" not in told["detail"]


def test_a_submit_without_redis_is_503_and_no_job_appears(
    fragile: Api, own_redis: RedisServer
) -> None:
    """Refused means refused: also when Redis is back and the sweep has compared it with storage."""
    own_redis.kill()
    refused(fragile, soon(fragile.submit))
    refused(fragile, soon(lambda: fragile.submit(headers={"Idempotency-Key": "k"})))
    assert fragile.stored() == []
    own_redis.start()
    Sweep(fragile.parts, rebuild_interval_s=0).turn()
    assert fragile.stored() == []
    assert fragile.http.get("/v1/jobs").json()["jobs"] == []
    assert fragile.parts.ledger.unfinished() == set()
    # No reservation is left either, and the same key orders now.
    assert fragile.accepted(headers={"Idempotency-Key": "k"})["status"] == "queued"


def test_a_silent_redis_is_503_as_soon(fragile: Api, own_redis: RedisServer) -> None:
    """A Redis that is frozen or cut off keeps nobody waiting, on old connections and on new ones."""
    assert fragile.http.get("/v1/jobs").status_code == 200
    with Frozen(own_redis):
        for answer in at_once(fragile.submit, times=3):
            refused(fragile, answer)
    assert fragile.stored() == []
    until(lambda: fragile.http.get("/readyz").status_code == 200)
    Sweep(fragile.parts, rebuild_interval_s=0).turn()
    assert fragile.stored() == []
    assert fragile.accepted()["status"] == "queued"


def test_reads_and_cancels_without_redis_are_503(fragile: Api, own_redis: RedisServer) -> None:
    """Not 404: an API that does not know says that it does not know."""
    job = fragile.accepted()
    own_redis.kill()
    here = job["links"]["self"]
    refused(fragile, soon(lambda: fragile.http.get(here)))
    refused(fragile, soon(lambda: fragile.http.get("/v1/jobs")))
    refused(fragile, soon(lambda: fragile.http.post(f"{here}/cancel")))
    refused(fragile, soon(lambda: fragile.http.delete(here)))
    refused(fragile, soon(lambda: fragile.http.post(f"{here}/repair")))
    refused(fragile, soon(lambda: fragile.http.get(f"{here}/shards/0")))
    own_redis.start()
    assert fragile.job(job["id"])["status"] == "queued"


def test_a_redis_that_restarts_is_noticed_by_nobody(fragile: Api, own_redis: RedisServer) -> None:
    """Connections that a restart cut are opened again within the same request."""
    job = fragile.accepted()
    own_redis.kill()
    own_redis.start()
    assert fragile.job(job["id"])["status"] == "queued"
    assert fragile.accepted(seed=1)["status"] == "queued"


@pytest.fixture
def no_storage(api: Api, tmp_path: Path) -> Iterator[Api]:
    """A server whose storage was taken away, as a volume that is not mounted is."""
    job = api.completed()
    api.http.headers["X-Job"] = job["id"]
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    yield api
    assert not (tmp_path / "objects").exists(), "something was written where the volume was"


def test_a_submit_without_storage_is_503(no_storage: Api) -> None:
    """Nothing is written, and the reserved place is given back."""
    for _ in range(2):
        refused(no_storage, soon(no_storage.submit))
    assert no_storage.parts.ledger.unfinished() == set()


def test_other_routes_without_storage_are_503(no_storage: Api) -> None:
    """An empty place is not taken for an empty store."""
    job = f"/v1/jobs/{no_storage.http.headers['X-Job']}"
    for url in ("/v1/jobs", "/v1/decoders", f"{job}/manifest", f"{job}/shards/0"):
        refused(no_storage, soon(lambda url=url: no_storage.http.get(url)))
    refused(no_storage, soon(lambda: no_storage.http.post("/v1/quotes", json=ask())))


def test_storage_that_comes_back_serves_on(api: Api, tmp_path: Path) -> None:
    """No restart is needed."""
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    refused(api, api.submit())
    (tmp_path / "elsewhere").rename(tmp_path / "objects")
    assert api.accepted()["status"] == "queued"


def ready(api: Api) -> httpx.Response:
    return soon(lambda: api.http.get("/readyz"))


def test_readiness_follows_redis(fragile: Api, own_redis: RedisServer) -> None:
    """Dead, silent, unable to write: no. Alive again: yes. The process itself is alive throughout."""
    assert ready(fragile).json() == {"status": "ok"}
    with Frozen(own_redis):
        silent = ready(fragile)
        assert soon(lambda: fragile.http.get("/livez")).status_code == 200
    told = problem_of(silent, status=503, slug="not-ready")
    assert told["detail"] == "Redis does not answer"
    until(lambda: ready(fragile).status_code == 200)
    with redis.Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", str(free_port()))
        problem_of(ready(fragile), status=503, slug="not-ready")
        client.replicaof("NO", "ONE")
    assert ready(fragile).status_code == 200
    own_redis.kill()
    problem_of(ready(fragile), status=503, slug="not-ready")
    assert fragile.http.get("/livez").status_code == 200
    own_redis.start()
    assert ready(fragile).status_code == 200


def test_readiness_leaves_no_trace(api: Api, redis_url: str) -> None:
    """A probe every few seconds takes no place from a client."""
    assert ready(api).status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("lm:*") == []
    assert api.stored() == []


def test_readiness_names_all_that_is_away(
    fragile: Api, own_redis: RedisServer, tmp_path: Path
) -> None:
    """Whoever is called at night knows where to look."""
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    told = problem_of(ready(fragile), status=503, slug="not-ready")
    assert told["detail"] == "Object storage does not answer"
    own_redis.kill()
    told = problem_of(ready(fragile), status=503, slug="not-ready")
    assert told["detail"] == "Object storage does not answer. Redis does not answer"


def test_readiness_is_bounded_when_storage_hangs(redis_url: str) -> None:
    """A store that takes connections and says nothing is not waited for; many probes change nothing."""

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        api = start_api(
            redis_url,
            "s3://bucket",
            s3_endpoint_url=endpoint,
            s3_access_key_id="x",
            s3_secret_access_key="y",
        )
        for answer in at_once(lambda: api.http.get("/readyz"), times=12):
            told = problem_of(answer, status=503, slug="not-ready")
            assert "Object storage does not answer" in told["detail"]
        assert soon(lambda: api.http.get("/livez")).status_code == 200
        # Whether it needs a key nobody can tell: this server never saw the store.
        problem_of(soon(lambda: api.http.get("/metrics")), status=503, slug="unavailable")
        api.stop()


def fleet_metrics(api: Api) -> dict[str, float]:
    return of_the_fleet(parsed(soon(lambda: api.http.get("/metrics"))))


def test_metrics_survive_redis(fragile: Api, own_redis: RedisServer) -> None:
    """A scrape during an outage succeeds and tells it; numbers that nobody knows are left out."""
    with Frozen(own_redis):
        assert fleet_metrics(fragile) == {"latentmill_redis_up": 0}
    own_redis.kill()
    assert fleet_metrics(fragile) == {"latentmill_redis_up": 0}
    own_redis.start()
    assert fleet_metrics(fragile)["latentmill_redis_up"] == 1
