"""Metrics for Prometheus: what the ledger knows of the fleet."""

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from service.api.callers import Administrator
from service.api.deps import TheOffice
from service.contract.errors import LedgerUnavailable
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])

_FLEET = {
    "latentmill_worker_slots": "Shards that live workers can run at once.",
    "latentmill_queue_messages": "Messages that no worker has taken yet.",
    "latentmill_active_jobs": "Jobs that have not ended.",
}
_AUDITS = "Shards that were to be made again by another worker, by what came of it."


class TextResponse(Response):
    media_type = "text/plain"


@router.get("/metrics", response_class=TextResponse)
def metrics(office: TheOffice, _: Administrator) -> Response:
    """The fleet's gauges; without Redis only `latentmill_redis_up 0`, for others would be made up."""
    registry = CollectorRegistry()
    fleet = _fleet(office.parts)
    Gauge("latentmill_redis_up", "Whether Redis answers.", registry=registry).set(bool(fleet))
    for name, value in fleet.items():
        Gauge(name, _FLEET[name], registry=registry).set(value)
    audits = Gauge("latentmill_audits", _AUDITS, ["result"], registry=registry)
    # An outage is waited for once, not twice.
    for result, number in (_audits(office.parts) if fleet else {}).items():
        audits.labels(result).set(number)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _fleet(parts: Parts) -> dict[str, int]:
    try:
        return {
            "latentmill_worker_slots": parts.ledger.live_slots(),
            "latentmill_queue_messages": parts.queue.length(),
            "latentmill_active_jobs": parts.ledger.active_jobs(),
        }
    except LedgerUnavailable as error:
        log.warning("metrics_without_redis", reason=error.detail)
        return {}


def _audits(parts: Parts) -> dict[str, int]:
    try:
        return parts.ledger.audits.counts()
    except LedgerUnavailable:
        return {}
