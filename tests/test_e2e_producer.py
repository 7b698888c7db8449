"""A Celery producer that knows nothing of Latentmill but a broker URL and a task name."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from service.contract.job import Status
from tests.fixtures.fleet import Fleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.slow

TASK = QUEUE = "latentmill.generate"
ASKED: dict[str, Any] = {"decoder": "tiny", "label": 3, "count": 3000, "shard_size": 1024}


@pytest.fixture
def producer(fleet: Fleet) -> Iterator[Celery]:
    with Celery(broker=fleet.redis_server.url, set_as_current=False) as app:
        yield app


def _is_known(fleet: Fleet, job_id: str) -> bool:
    return fleet.http.get(f"/v1/jobs/{job_id}").status_code == 200


def _sent(fleet: Fleet, producer: Celery, job_id: str, *args: Any, **kwargs: Any) -> None:
    producer.send_task(TASK, args=args, kwargs=kwargs, task_id=job_id, queue=QUEUE)
    assert eventually(lambda: _is_known(fleet, job_id), within_s=20)


def test_a_task_becomes_a_job(fleet: Fleet, producer: Celery) -> None:
    """Its task id is the job's id; the archives are those of the same request over HTTP."""
    _sent(fleet, producer, "producer-0001", **ASKED, seed=7)
    job = fleet.wait("producer-0001")
    assert job.status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)
    over_http = fleet.wait(fleet.submit(seed=7))
    assert over_http.progress.shards_reused == over_http.progress.shards_total


def test_a_task_delivered_twice_is_one_job(fleet: Fleet, producer: Celery) -> None:
    """Also without a seed, which the server draws once; and a third time after the end."""
    for _ in range(2):
        _sent(fleet, producer, "producer-0002", **ASKED)
    job = fleet.wait("producer-0002")
    _sent(fleet, producer, "producer-0002", **ASKED)
    _sent(fleet, producer, "producer-0003", **ASKED)
    assert fleet.wait("producer-0003").status == Status.COMPLETED
    assert fleet.look("producer-0002") == job
    assert _listed(fleet).count("producer-0002") == 1


def test_another_task_with_a_taken_id_changes_nothing(fleet: Fleet, producer: Celery) -> None:
    """The accepted job stands; the newcomer, good or bad, is logged."""
    _sent(fleet, producer, "producer-0004", **ASKED)
    job = fleet.wait("producer-0004")
    producer.send_task(TASK, kwargs=ASKED | {"count": 1}, task_id=job.id, queue=QUEUE)
    producer.send_task(TASK, kwargs={"cuont": 1}, task_id=job.id, queue=QUEUE)
    assert eventually(lambda: len(fleet.events("task_refused", job=job.id)) == 2, within_s=20)
    assert fleet.look(job) == job


@pytest.mark.parametrize(
    ("number", "kwargs", "told"),
    [
        (1, {"decoder": "tiny", "label": 77, "cuont": 5}, ["/label", "/cuont", "/count"]),
        (2, {**ASKED, "count": 0, "seed": -1}, ["/count", "/seed"]),
        (3, {**ASKED, "decoder": "nobody"}, ["/decoder"]),
        (4, {**ASKED, "temperature": float("nan")}, ["/temperature"]),
        (5, {**ASKED, "temperature": float("inf"), "x": float("nan")}, ["/temperature", "/x"]),
        (6, {**ASKED, "seed": 10**40}, ["/seed"]),
        (7, {**ASKED, "label": "\ud800"}, ["/label"]),
        (8, {"\ud800": 1}, ["/decoder"]),
        (9, {**ASKED, "tags": "x" * 200_000}, ["larger than"]),
        (10, {**ASKED, "task": 1, "args": 2}, ["/task", "/args"]),
    ],
)
def test_a_bad_task_is_a_failed_job_that_says_why(
    fleet: Fleet, producer: Celery, number: int, kwargs: dict[str, Any], told: list[str]
) -> None:
    """GET names every fault, in the ledger's absence too; delivered twice it is listed once."""
    job_id = f"producer-bad-{number}"
    for _ in range(2):
        _sent(fleet, producer, job_id, **kwargs)
    job = fleet.look(job_id)
    assert (job.status, job.request) == (Status.FAILED, None)
    assert job.error is not None
    assert all(pointer in job.error for pointer in told)
    assert eventually(lambda: _is_empty(fleet), within_s=20)
    assert _listed(fleet).count(job_id) == 1


def test_positional_arguments_are_refused(fleet: Fleet, producer: Celery) -> None:
    """The job's error tells to send keyword arguments."""
    _sent(fleet, producer, "producer-args", "tiny", 3, 10)
    assert "keyword arguments" in str(fleet.look("producer-args").error)


@pytest.mark.parametrize(
    "task_id", ["short", "../../../../etc/passwd", "x" * 65, "job:1 2", "é" * 9]
)
def test_an_odd_task_id_does_no_harm(fleet: Fleet, producer: Celery, task_id: str) -> None:
    """It cannot be a job's id, so it is logged and nothing is written."""
    # What earlier tests sent may still be acknowledged.
    assert eventually(lambda: _is_empty(fleet), within_s=20)
    before, keys = len(fleet.events("task_refused")), _keys(fleet)
    producer.send_task(TASK, kwargs=ASKED, task_id=task_id, queue=QUEUE)
    assert eventually(lambda: len(fleet.events("task_refused")) == before + 1, within_s=20)
    assert _keys(fleet) == keys


def _keys(fleet: Fleet) -> list[str]:
    return [found.key for found in fleet.storage.list("")]


def test_what_no_worker_understands_stops_no_worker(fleet: Fleet, producer: Celery) -> None:
    """An unknown task, a pickled body, wrong arguments, and bytes that are no message: the next job completes."""
    (worker,) = fleet.living("worker")
    producer.send_task("latentmill.nothing", kwargs={}, queue=QUEUE)
    producer.send_task("latentmill.shard", kwargs={"job": 1}, queue="latentmill.bulk")
    producer.send_task("latentmill.repair", kwargs={"job_id": "nobody"}, queue="latentmill.bulk")
    _send_pickle(fleet)
    job = fleet.wait(fleet.submit(label=5))
    assert job.status == Status.COMPLETED
    assert fleet.living("worker") == [worker]


def _send_pickle(fleet: Fleet) -> None:
    with Connection(fleet.redis_server.url) as connection:
        connection.SimpleQueue(QUEUE).put({"args": []}, serializer="pickle")


def test_bytes_that_are_no_message_end_no_worker(fleet: Fleet) -> None:
    """Somebody pushed rubbish onto the queue, twice: Celery's consumer breaks on it, the process goes on."""
    (worker,) = fleet.living("worker")
    for times in (1, 2):
        # A consumer that breaks as soon as it is there would end the process.
        time.sleep(2)
        fleet.redis.lpush(QUEUE, "not json")
        assert eventually(lambda n=times: len(worker.events("consumer_replaced")) == n, within_s=20)
        assert fleet.redis.llen(QUEUE) == 0
        assert fleet.wait(fleet.submit(label=6, count=times)).status == Status.COMPLETED
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    fleet.start(worker=1)


def test_a_task_sent_while_storage_is_away_waits(fleet: Fleet, producer: Celery) -> None:
    """Nothing but the message knows of it yet, so the message goes back until the job can be accepted."""
    with fleet.storage_away():
        producer.send_task(TASK, kwargs=ASKED, task_id="producer-waits", queue=QUEUE)
        assert eventually(
            lambda: len(fleet.events("task_waits", job="producer-waits")) >= 2, within_s=20
        )
    assert eventually(lambda: _is_known(fleet, "producer-waits"), within_s=20)
    assert fleet.wait("producer-waits").status == Status.COMPLETED


def _is_empty(fleet: Fleet) -> bool:
    return fleet.redis.llen(QUEUE) == fleet.redis.hlen("unacked") == 0


def _listed(fleet: Fleet) -> list[str]:
    jobs = fleet.http.get("/v1/jobs", params={"limit": 100}).raise_for_status().json()["jobs"]
    return [job["id"] for job in jobs]
