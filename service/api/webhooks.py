"""A job's webhook over HTTP: how its delivery goes, and sending it again."""

from typing import Any

from fastapi import APIRouter, Response

from service.api.callers import Reader, Submitter
from service.api.deps import TheOffice
from service.api.links import address, known_form
from service.api.problems import documented
from service.contract.errors import JobUnfinished, NoWebhook, Unavailable, UnknownJob
from service.contract.webhook import Delivery
from service.lifecycle.webhooks import redeliver, tell_delivery

router = APIRouter(prefix="/v1/jobs/{job_id}/webhook", tags=["webhooks"])

_PLACE: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}}
}


@router.get("", response_model=Delivery, responses=documented(UnknownJob, NoWebhook, Unavailable))
def get_webhook(job_id: str, office: TheOffice, caller: Reader) -> Delivery:
    """The last attempt at the job's webhook, and when the next one is."""
    return tell_delivery(office.parts, known_form(job_id), owner=caller.owner)


@router.post(
    "/redeliver",
    status_code=202,
    response_model=Delivery,
    responses=_PLACE | documented(UnknownJob, NoWebhook, JobUnfinished, Unavailable),
)
def redeliver_webhook(
    job_id: str, response: Response, office: TheOffice, caller: Submitter
) -> Delivery:
    """Send the event again, whatever became of it before: the same id, a fresh timestamp."""
    delivery = redeliver(office.parts, known_form(job_id), owner=caller.owner)
    response.headers["Location"] = f"{address(job_id)}/webhook"
    return delivery
