"""Jobs of one image, from POST to `finished_at`, and images asked for alone; idle and beside ten million images."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median, quantiles

from latentmill import Client

from service.contract.card import DecoderCard
from service.contract.job import Status
from service.local.stack import Stack
from tests.bench.empty_task import empty_worker, round_trips_s
from tests.bench.served import label_of, served

BULK = 10_000_000
#: Between two small jobs, so that they do not wait for each other.
_PAUSE_S = 0.1


def small_jobs(
    onnx: bytes, card: DecoderCard, *, jobs: int = 50, bulk: int = BULK
) -> dict[str, float]:
    """Milliseconds, at the median and at the 95th percentile, in one run with an empty task's round trip."""
    with served(onnx, card) as stack, Client(stack.url) as client:
        _latencies(client, card, 5, first_seed=0)
        trips = _empty_task(stack, jobs)
        idle = _latencies(client, card, jobs, first_seed=100)
        alone = _images(client, card, jobs)
        busy, done, alone_busy = _beside_bulk(client, card, jobs, bulk)
    return {
        "empty task p50": median(trips) * 1000,
        "idle p50": median(idle) * 1000,
        "idle p95": _p95(idle) * 1000,
        "beside bulk p50": median(busy) * 1000,
        "beside bulk p95": _p95(busy) * 1000,
        "bulk images meanwhile": done,
        "image alone, idle p50": median(alone) * 1000,
        "image alone, idle p95": _p95(alone) * 1000,
        "image alone, beside bulk p50": median(alone_busy) * 1000,
        "image alone, beside bulk p95": _p95(alone_busy) * 1000,
    }


def _empty_task(stack: Stack, count: int) -> list[float]:
    # Another database of the same server.
    with empty_worker(f"{stack.settings['redis_url']}".removesuffix("/0") + "/1"):
        return round_trips_s(count)


def _latencies(client: Client, card: DecoderCard, count: int, *, first_seed: int) -> list[float]:
    """Seconds from just before POST to the outcome; by the one clock of this machine."""
    times = []
    for seed in range(first_seed, first_seed + count):
        started = datetime.now(UTC)
        job = client.wait(client.submit(card.name, label_of(card), count=1, seed=seed), poll_s=0.05)
        assert job.finished_at is not None
        times.append((job.finished_at - started).total_seconds())
        time.sleep(_PAUSE_S)
    return times


def _images(client: Client, card: DecoderCard, count: int) -> list[float]:
    """Seconds for `GET /v1/images/…`, each of another seed, as the client sees them."""
    times = []
    for seed in range(count):
        started = time.perf_counter()
        client.image(card.name, label_of(card), seed=seed, index=seed)
        times.append(time.perf_counter() - started)
        time.sleep(_PAUSE_S / 4)
    return times


def _beside_bulk(
    client: Client, card: DecoderCard, count: int, bulk: int
) -> tuple[list[float], int, list[float]]:
    """The same while a large job runs, with how many images of that were made when the last small job was done."""
    large = client.submit(card.name, label_of(card), count=bulk, seed=1)
    while client.job(large).status == Status.QUEUED:
        time.sleep(0.05)
    times = _latencies(client, card, count, first_seed=1000)
    progress = client.job(large)
    alone = _images(client, card, count)
    assert client.job(large).status == Status.RUNNING, "the large job ended before the small ones"
    client.cancel(large)
    return times, progress.progress.samples_done, alone


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20)[-1]
