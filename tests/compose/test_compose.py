"""The stack of docker-compose.yml: a job through its published ports, while parts of it die, are scaled or lose all."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import httpx
import pytest
from latentmill import Client

from service.contract.job import Job, Status
from tests.compose.stack import Compose, engine_answers, stack, tell

pytestmark = pytest.mark.compose

COUNT = 100_000


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    assert engine_answers(), "no Docker engine answers: start one, or set DOCKER_HOST"
    with stack() as running:
        yield running


@pytest.fixture
def client(compose: Compose) -> Iterator[Client]:
    with Client(compose.urls()[0], patience_s=120) as client:
        yield client


def submitted(client: Client, seed: int, count: int = COUNT) -> Job:
    return client.submit("mnist", labels={"3": count // 2, "8": count // 2}, seed=seed)


def until_some_is_done(client: Client, job: Job) -> None:
    """So that what happens next happens in the middle."""
    while True:
        now = client.job(job)
        assert now.status != Status.COMPLETED, "the job was too quick to be disturbed"
        if now.progress.shards_done:
            return
        time.sleep(0.02)


def finished(client: Client, job: Job) -> None:
    """Completed, and every archive and image as the manifest says, read through the published store."""
    done = tell(f"{job.id}: completed", lambda: client.wait(job, timeout_s=600))
    assert job.request
    assert done.progress.samples_done == job.request.count
    found = tell(f"{job.id}: verified", lambda: client.verify(job))
    assert found.is_intact
    assert (found.samples, found.shards) == (job.request.count, job.request.shards)


def test_a_job_survives_a_killed_worker(compose: Compose, client: Client) -> None:
    """One of two workers is killed in the middle of 100,000 images; afterwards `up` brings it back."""
    job = submitted(client, seed=1)
    until_some_is_done(client, job)
    compose.kill("worker")
    assert len(compose.containers("worker")) == 1
    finished(client, job)
    compose("up", "--detach", "--wait", "--scale", "worker=2")
    assert len(compose.containers("worker")) == 2


def test_the_api_is_scaled(compose: Compose, client: Client) -> None:
    """To two, while clients ask; each takes a job, and either tells of both."""
    with _asking(compose.urls()[0]) as failures:
        tell(
            "api scaled to 2",
            lambda: compose(
                *("up", "--detach", "--wait", "--no-recreate"),
                *("--scale", "api=2", "--scale", "worker=2"),
            ),
        )
    assert failures() == 0
    jobs, urls = [], compose.urls()
    assert len(set(urls)) == 2
    for seed, url in enumerate(urls, 100):
        with Client(url) as one:
            jobs.append(one.wait(submitted(one, seed, count=2000), timeout_s=60))
    for url in urls:
        with Client(url) as one:
            assert [one.job(job.id).status for job in jobs] == [Status.COMPLETED] * 2


def test_redis_is_lost_for_good(compose: Compose, client: Client) -> None:
    """Container and volume, in the middle of a job: storage brings it back, and it ends."""
    job = submitted(client, seed=2, count=3 * COUNT)
    until_some_is_done(client, job)
    compose.lose_volume("redis", "redis")
    compose("up", "--detach", "--wait", "--no-recreate", "redis")
    finished(client, job)


def test_nothing_in_it_is_root_or_writes_its_root(compose: Compose) -> None:
    """As the file promises, asked of the engine."""
    for service in ("api", "worker", "sweep", "redis"):
        for container in compose.containers(service):
            assert container["Config"]["User"].partition(":")[0] not in ("", "0", "root")
            assert container["HostConfig"]["ReadonlyRootfs"]
            assert container["HostConfig"]["CapDrop"] == ["ALL"]
            assert container["State"]["Health"]["Status"] == "healthy"


@contextmanager
def _asking(url: str) -> Iterator[Callable[[], int]]:
    """Somebody asks an API all the time; how many answers were none."""
    ended, failed = Event(), list[str]()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=10) as http:
            while not ended.wait(0.02):
                try:
                    http.get("/v1/decoders").raise_for_status()
                except httpx.HTTPError as error:
                    failed.append(repr(error))

    thread = Thread(target=ask)
    thread.start()
    try:
        yield lambda: len(failed)
    finally:
        ended.set()
        thread.join()
