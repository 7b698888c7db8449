"""Errors as RFC 9457 problems: the only place that knows an HTTP status for an error."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from service.contract import errors
from service.contract.errors import Fault, LatentmillError, RequestInvalid

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


class BodyTooLarge(LatentmillError):
    """The body is larger than this server reads."""


class MalformedBody(RequestInvalid):
    """The body is not JSON."""

    def __init__(self, why: str) -> None:
        super().__init__([Fault("", why)])


#: Most special first: the first class that fits decides.
_PROBLEMS: list[tuple[type[LatentmillError], int, str, str]] = [
    (BodyTooLarge, 413, "body-too-large", "The body is too large"),
    (RequestInvalid, 422, "invalid-request", "The request has faults"),
    (errors.IdempotencyConflict, 422, "idempotency-conflict", "The key belongs to another request"),
    (errors.UnknownJob, 404, "unknown-job", "No such job"),
    (errors.UnknownDecoder, 404, "unknown-decoder", "No such decoder"),
    (errors.UnknownShard, 404, "unknown-shard", "No such shard"),
    (errors.JobUnfinished, 409, "job-unfinished", "The job has not ended that way"),
    (errors.JobNotCancellable, 409, "job-not-cancellable", "The job can no longer be cancelled"),
    (errors.NothingToRepair, 409, "nothing-to-repair", "The job cannot be repaired"),
    (errors.ShardNotStored, 409, "shard-not-stored", "The shard is not stored yet"),
    (errors.ShardExpired, 410, "shard-expired", "The shard is gone"),
    (errors.TooManyJobs, 429, "too-many-jobs", "Too many active jobs"),
    (errors.Unavailable, 503, "unavailable", "A service behind this one does not answer"),
]


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    body = {
        "type": f"urn:latentmill:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        **more,
    }
    # ASCII, because a fault may quote a string that is not valid UTF-8.
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Make every error leave the API as a problem."""

    @app.exception_handler(LatentmillError)
    async def told(request: Request, error: LatentmillError) -> Response:
        return _problem_of(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        slug = status.phrase.lower().replace(" ", "-")
        headers = dict(error.headers or {})
        return problem(status, slug, status.phrase, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    async def untold(request: Request, error: Exception) -> Response:
        log.error("request_failed", path=request.url.path, exc_info=error)
        return problem(500, "internal-error", "Internal error", "The fault is ours; the log tells.")


def _problem_of(error: LatentmillError) -> Response:
    for kind, status, slug, title in _PROBLEMS:
        if isinstance(error, kind):
            return problem(
                status, slug, title, error.detail, headers=_headers(error), **_faults(error)
            )
    log.error("error_without_problem", kind=type(error).__name__, reason=error.detail)
    return problem(500, "internal-error", "Internal error", error.detail)


def _headers(error: LatentmillError) -> dict[str, str]:
    retry_after_s = getattr(error, "retry_after_s", None)
    return {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}


def _faults(error: LatentmillError) -> dict[str, Any]:
    if not isinstance(error, RequestInvalid):
        return {}
    return {
        "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    }
