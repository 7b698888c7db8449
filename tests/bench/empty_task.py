"""A Celery task that does nothing, as anybody would set it up: the measure for the latency of small jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

app = Celery("empty", broker=os.environ.get("EMPTY_TASK_REDIS"))
app.conf.result_backend = os.environ.get("EMPTY_TASK_REDIS")


@app.task
def nothing() -> None:
    """Do nothing."""


@contextmanager
def empty_worker(redis_url: str) -> Iterator[None]:
    """A worker process with Celery's own settings, but for one slot; ready when the block begins."""
    app.conf.update(broker_url=redis_url, result_backend=redis_url)
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tests.bench.empty_task", "worker", "-c", "1"],
        env=os.environ | {"EMPTY_TASK_REDIS": redis_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        nothing.delay().get(timeout=60)
        yield
    finally:
        worker.terminate()
        worker.wait()


def round_trips_s(count: int) -> list[float]:
    """Seconds from sending to the result, one after the other."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        nothing.delay().get(timeout=60, interval=0.001)
        times.append(time.perf_counter() - started)
    return times
