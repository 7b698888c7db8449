"""Errors as RFC 9457 problems: the only place that knows an HTTP status for an error."""

import json
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Response

from service.api import refusals
from service.api.allowance import RATE_LIMIT_FIELDS, rate_limit_headers
from service.contract import errors
from service.contract.errors import LatentmillError, LimitReached, RequestInvalid, Unavailable
from service.contract.value import Value

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Most special first: the first class that fits decides.
_PROBLEMS: list[tuple[type[LatentmillError], int, str, str]] = [
    (refusals.CrossSite, 403, "cross-site", "Another site's page may not ask for this"),
    (errors.KeyNeeded, 401, "key-needed", "A valid API key is needed"),
    (errors.ScopeMissing, 403, "scope-missing", "The API key does not allow this"),
    (refusals.NoSuchPath, 404, "not-found", "Nothing has this address"),
    (refusals.BodyTooSlow, 408, "body-too-slow", "The body did not arrive in time"),
    (refusals.BodyTooLarge, 413, "body-too-large", "The body is too large"),
    (refusals.RangeUnsatisfiable, 416, "range-unsatisfiable", "The shard has no such bytes"),
    (RequestInvalid, 422, "invalid-request", "The request has faults"),
    (errors.IdempotencyConflict, 422, "idempotency-conflict", "The key belongs to another request"),
    (errors.UnknownJob, 404, "unknown-job", "No such job"),
    (errors.NoWebhook, 404, "no-webhook", "The job has no webhook"),
    (errors.UnknownDecoder, 404, "unknown-decoder", "No such decoder"),
    (errors.UnknownShard, 404, "unknown-shard", "No such shard"),
    (errors.JobUnfinished, 409, "job-unfinished", "The job has not ended that way"),
    (errors.JobNotCancellable, 409, "job-not-cancellable", "The job can no longer be cancelled"),
    (errors.NothingToRepair, 409, "nothing-to-repair", "The job cannot be repaired"),
    (errors.ShardNotStored, 409, "shard-not-stored", "The shard is not stored yet"),
    (errors.ShardExpired, 410, "shard-expired", "The shard is gone"),
    (errors.TooManyJobs, 429, "too-many-jobs", "Too many active jobs"),
    (errors.TooManyQueued, 429, "too-many-queued", "Too many images in unfinished jobs"),
    (errors.TooManyRequests, 429, "too-many-requests", "Too many jobs asked for in a minute"),
    (errors.DayUsedUp, 429, "day-used-up", "The images of this day are used up"),
    (refusals.TooManyFailures, 429, "too-many-failures", "Too many wrong keys"),
    (refusals.NotReady, 503, "not-ready", "Not ready"),
    (errors.SampleLate, 503, "sample-late", "No worker drew the image in time"),
    (Unavailable, 503, "unavailable", "A service behind this one does not answer"),
]


class ToldFault(Value):
    """One thing wrong with a request. `pointer` is an RFC 6901 JSON pointer into the body, or `/` and the
    name of a query parameter or header."""

    pointer: str
    detail: str


class Problem(Value):
    """An RFC 9457 problem. `errors` is there when the request has faults, and then lists all of them; `repair` when a
    POST to that address makes an expired shard again."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ToldFault] = []
    repair: str = ""


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


def problem_of(error: LatentmillError) -> Response:
    """How an error leaves the API."""
    for kind, status, slug, title in _PROBLEMS:
        if isinstance(error, kind):
            told = _told(error)
            return problem(status, slug, title, told, headers=_headers(error), **_more(error))
    return internal_error(error)


def internal_error(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return problem(500, "internal-error", "Internal error", "The fault is ours; the log tells.")


def problem_of_status(code: int, detail: str, headers: dict[str, str]) -> Response:
    """A refusal by the framework, which knows statuses and no errors of ours."""
    status = HTTPStatus(code)
    slug = status.phrase.lower().replace(" ", "-")
    return problem(code, slug, status.phrase, detail, headers=headers)


def documented(*kinds: type[LatentmillError]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that refuses in these ways."""
    answers: dict[int | str, dict[str, Any]] = {}
    for kind, status, _, title in _PROBLEMS:
        if kind in kinds:
            answer = answers.setdefault(status, _described(kind))
            answer["description"] = ", or: ".join(filter(None, (answer["description"], title)))
    return answers


def _described(kind: type[LatentmillError]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {"description": "", "content": {MEDIA_TYPE: {"schema": schema}}}
    if hasattr(kind, "retry_after_s"):
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        answer["headers"] = {"Retry-After": seconds}
    if issubclass(kind, LimitReached):
        answer["headers"] |= RATE_LIMIT_FIELDS
    return answer


def _told(error: LatentmillError) -> str:
    if not isinstance(error, Unavailable) or isinstance(error, refusals.NotReady):
        return error.detail
    # Addresses and paths behind the API are for the log, not for whoever asks.
    log.warning("unavailable", reason=error.detail)
    return (type(error).__doc__ or "").strip()


def _headers(error: LatentmillError) -> dict[str, str]:
    if isinstance(error, refusals.RangeUnsatisfiable):
        return {"Content-Range": f"bytes */{error.size_bytes}"}
    if isinstance(error, errors.KeyNeeded):
        return {"WWW-Authenticate": 'Bearer realm="latentmill"'}
    retry_after_s = getattr(error, "retry_after_s", None)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    if isinstance(error, LimitReached) and error.allowance is not None:
        headers |= rate_limit_headers(error.allowance, retry_after_s=error.retry_after_s)
    return headers


def _more(error: LatentmillError) -> dict[str, Any]:
    if isinstance(error, errors.ShardExpired) and error.repair is not None:
        return {"repair": error.repair}
    if not isinstance(error, RequestInvalid):
        return {}
    return {
        "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    }
