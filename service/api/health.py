"""Health that says no when it means no, and metrics for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from service.api.deps import TheOffice
from service.api.problems import problem
from service.contract.errors import Unavailable

router = APIRouter(tags=["health"])


@router.get("/livez")
def livez() -> dict[str, str]:
    """This process answers. Says nothing of Redis or storage: restarting the API heals neither."""
    return {"status": "ok"}


@router.get("/readyz", response_model=dict[str, str])
def readyz(office: TheOffice) -> dict[str, str] | Response:
    """Storage and Redis answer, so that a submit can be accepted."""
    try:
        office.parts.storage.check()
        office.parts.ledger.live_slots()
    except Unavailable as error:
        return problem(503, "not-ready", "Not ready", error.detail)
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
def metrics(office: TheOffice) -> Response:
    """What the ledger knows of the fleet, in the Prometheus text format."""
    registry = CollectorRegistry()
    gauges = (
        (
            "latentmill_worker_slots",
            "Shards that live workers can run at once.",
            office.parts.ledger.live_slots,
        ),
        (
            "latentmill_queue_messages",
            "Messages that no worker has taken yet.",
            office.parts.queue.length,
        ),
        ("latentmill_active_jobs", "Jobs that have not ended.", office.parts.ledger.active_jobs),
    )
    for name, help_text, read in gauges:
        Gauge(name, help_text, registry=registry).set(read())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
