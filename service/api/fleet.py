"""The fleet over HTTP: who works, how much is left, and when a job will have ended."""

from fastapi import APIRouter

from service.api.callers import Administrator, Reader
from service.api.deps import TheOffice
from service.api.links import known_form
from service.api.problems import documented
from service.contract.errors import Unavailable, UnknownJob
from service.contract.fleet import Estimate, FleetReport
from service.lifecycle.describe import describe
from service.lifecycle.fleet import estimate, report_fleet

router = APIRouter(prefix="/v1")


@router.get("/fleet", response_model=FleetReport, tags=["fleet"], responses=documented(Unavailable))
def get_fleet(office: TheOffice, _: Administrator) -> FleetReport:
    """Workers, images a second, and the backlog of all owners."""
    return report_fleet(office.parts)


@router.get(
    "/jobs/{job_id}/estimate",
    response_model=Estimate,
    tags=["jobs"],
    responses=documented(UnknownJob, Unavailable),
)
def get_estimate(job_id: str, office: TheOffice, caller: Reader) -> Estimate:
    """How many of the caller's jobs come before this one, and seconds until it has ended."""
    job = describe(office.parts, known_form(job_id), owner=caller.owner)
    return estimate(office.parts, job, owner=caller.owner)
