"""`latentmill.generate`: a job asked for by a foreign Celery producer. Its task id becomes the job id."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from service.adapters.storage import create_or_keep
from service.contract import layout
from service.contract.errors import (
    Fault,
    IdempotencyConflict,
    LimitReached,
    RequestInvalid,
    UnknownJob,
)
from service.contract.job import Outcome, Progress, Status
from service.contract.limits import Limits
from service.contract.request import JOB_ID, MAX_BODY_BYTES, AcceptedRequest
from service.contract.value import canonical_json, sha256_hex
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, submit

log = structlog.get_logger(__name__)

#: A request is flat; what is refused is recorded as it came, and no record holds more than some hundred levels.
_DEEPEST = 64


def generate_job(
    parts: Parts, task_id: str, args: Sequence[Any], body: dict[str, Any], *, limits: Limits
) -> None:
    """Submit the body as a job; what is wrong with it is recorded as the job's failure.

    Raises StorageUnavailable or LedgerUnavailable; the promise has not begun then: it begins when
    `GET /v1/jobs/{id}` knows the job.
    """
    if not re.fullmatch(JOB_ID, task_id):
        log.error(
            "task_refused", reason="the task id is not [A-Za-z0-9_-]{8,64}", task=task_id[:64]
        )
        return
    kept: dict[str, Any] = {}
    try:
        kept = _strict(args, body)
        submit(parts, kept, owner=ANONYMOUS, limits=limits, job_id=task_id)
    except (RequestInvalid, LimitReached) as error:
        _record_refusal(parts, task_id, kept, reason=error.detail)
    except UnknownJob:
        # An earlier delivery was refused and cut off before the outcome, which alone held the reason.
        _record_refusal(parts, task_id, kept, reason="refused; send it again under another id")
    except IdempotencyConflict as error:
        # The id belongs to an accepted job, which must not be touched.
        log.error("task_refused", job=task_id, reason=error.detail)


def _strict(args: Sequence[Any], body: dict[str, Any]) -> dict[str, Any]:
    """The body as strict JSON: a queue lets NaN and half surrogate pairs through, no record can hold them."""
    if args:
        raise RequestInvalid([Fault("", "send keyword arguments: decoder, label, count, …")])
    if _is_nested(body):
        raise RequestInvalid([Fault("", f"nested deeper than {_DEEPEST} levels")])
    try:
        text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    except ValueError as error:
        raise RequestInvalid([Fault("", "not JSON: a number has thousands of digits")]) from error
    if len(text) > MAX_BODY_BYTES:
        raise RequestInvalid([Fault("", f"larger than {MAX_BODY_BYTES} bytes")])
    strict: dict[str, Any] = json.loads(text, parse_constant=str)
    return strict


def _is_nested(body: Any) -> bool:
    layer = [body]
    for _ in range(_DEEPEST):
        layer = [inner for value in layer for inner in _inside(value)]
    return bool(layer)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _record_refusal(parts: Parts, job_id: str, body: dict[str, Any], *, reason: str) -> None:
    now = parts.clock()
    refused = AcceptedRequest(
        id=job_id,
        owner=ANONYMOUS,
        given=body,
        given_sha256=sha256_hex(canonical_json(body)),
        resolved=None,
        created_at=now,
    )
    stored = AcceptedRequest.model_validate_json(
        create_or_keep(parts.storage, layout.job_request(job_id), refused.to_json())
    )
    if stored.resolved is not None:
        log.error("task_refused", job=job_id, reason="the id belongs to another job")
        return
    outcome = Outcome(
        id=job_id, status=Status.FAILED, error=reason, progress=Progress(), finished_at=now
    )
    create_or_keep(parts.storage, layout.job_outcome(job_id), outcome.to_json())
    # At the moment of the first delivery, or a second one would be listed beside it.
    parts.storage.put(layout.log_entry(ANONYMOUS, stored.created_at, job_id), b"")
    log.warning("task_refused", job=job_id, reason=reason)
