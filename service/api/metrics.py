"""Metrics for Prometheus: what the ledger knows of the fleet, and what this API answered.

The fleet's are the same from every API: take one of them, or the largest.
"""

from collections.abc import Iterator

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.callers import Administrator
from service.api.deps import TheOffice
from service.contract.errors import LedgerUnavailable
from service.lifecycle.fleet import report_fleet
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])

#: Counters in Redis, which begin again when Redis was lost: (metric, what it counts, label, {value: counter}).
_LABELLED = (
    (
        "latentmill_jobs",
        "Jobs that ended, by how.",
        "status",
        {status: f"jobs_{status}" for status in ("completed", "failed", "cancelled")},
    ),
    (
        "latentmill_shards",
        "Shards that were stored for a job: made, or there before.",
        "how",
        {how: f"shards_{how}" for how in ("made", "reused")},
    ),
    (
        "latentmill_attempts_ended",
        "Tries at a shard that did not store it: failed, hopeless (its job fails), unavailable (a store or Redis "
        "was away), silent (the worker died or stood still).",
        "how",
        {how: f"attempts_{how}" for how in ("failed", "hopeless", "unavailable", "silent")},
    ),
)
_PLAIN = {
    "latentmill_attempts_begun": ("Tries at a shard that were begun.", "attempts_begun", 1),
    "latentmill_images": ("Images that workers made.", "images", 1),
    "latentmill_archive_bytes": ("Bytes of the archives that workers made.", "bytes", 1),
    "latentmill_busy_seconds": ("Seconds of a core that making them took.", "busy_ms", 1000),
    "latentmill_turns_lent": (
        "Messages for which a more urgent shard of the same owner was run.",
        "turns_lent",
        1,
    ),
}


class TextResponse(Response):
    media_type = "text/plain"


@router.get("/metrics", response_class=TextResponse)
def metrics(office: TheOffice, _: Administrator) -> Response:
    """The fleet's gauges and counters, and this API's; without Redis the fleet's are left out, not made up."""
    registry = CollectorRegistry()
    registry.register(_Fleet(office.parts))
    told = generate_latest(registry) + generate_latest(office.traffic.registry)
    return Response(told, media_type=CONTENT_TYPE_LATEST)


class _Fleet(Collector):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def describe(self) -> list[Metric]:
        # Else the registry would collect once more, to learn the names.
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            found = [*self._gauges(), *self._counters(), self._audits()]
        except LedgerUnavailable as error:
            log.warning("metrics_without_redis", reason=error.detail)
            found = []
        yield _gauge("latentmill_redis_up", "Whether Redis answers.", bool(found))
        yield from found

    def _gauges(self) -> Iterator[Metric]:
        report = report_fleet(self._parts)
        yield _gauge("latentmill_workers", "Worker processes that live.", len(report.workers))
        yield _gauge(
            "latentmill_worker_slots", "Shards that live workers can run at once.", report.slots
        )
        yield _gauge(
            "latentmill_worker_cores", "Shards that live workers make at once.", report.cores
        )
        yield _gauge(
            "latentmill_queue_messages",
            "Messages that no worker has taken yet.",
            report.queued_messages,
        )
        yield _gauge("latentmill_active_jobs", "Jobs that have not ended.", report.active_jobs)
        yield _gauge(
            "latentmill_backlog_images",
            "Images of unfinished jobs in shards that are not stored yet, those in the making included.",
            report.samples_left,
        )
        if report.backlog_s is not None:
            # Unknown while no worker lives, or while a kind of work was never done.
            yield _gauge(
                "latentmill_backlog_seconds",
                "Seconds in which all live workers make them.",
                report.backlog_s,
            )

    def _counters(self) -> Iterator[Metric]:
        counts = self._parts.ledger.fleet.counts()
        for name, what, label, values in _LABELLED:
            family = CounterMetricFamily(name, what, labels=[label])
            for value, counter in values.items():
                family.add_metric([value], counts.get(counter, 0))
            yield family
        for name, (what, counter, unit) in _PLAIN.items():
            yield CounterMetricFamily(name, what, value=counts.get(counter, 0) / unit)

    def _audits(self) -> Metric:
        audits = GaugeMetricFamily(
            "latentmill_audits",
            "Shards that were to be made again by another worker, by what came of it.",
            labels=["result"],
        )
        for result, number in self._parts.ledger.audits.counts().items():
            audits.add_metric([result], number)
        return audits


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)
