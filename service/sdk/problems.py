"""What a server's refusal means: RFC 9457 problems back to the errors of the one tree."""

from collections.abc import Iterator
from typing import Any

import httpx

from service.contract.errors import (
    AnswerUnexpected,
    Fault,
    LatentmillError,
    LimitReached,
    RequestInvalid,
    TooManyRequests,
    Unavailable,
)

_URN = "urn:latentmill:"

#: For answers without a problem of ours: those of proxies, and of frameworks before our code.
_BY_STATUS: dict[int, type[LatentmillError]] = {
    422: RequestInvalid,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(response: httpx.Response) -> LatentmillError:
    """The error that a refusal stands for; its `retry_after_s` is what the server asked for, or 0.

    The response has been read.
    """
    error = _error_of(_problem(response), response)
    if isinstance(error, (LimitReached, Unavailable)):
        error.retry_after_s = _retry_after_s(response)
    return error


def _error_of(problem: dict[str, Any], response: httpx.Response) -> LatentmillError:
    kind = _by_slug().get(str(problem.get("type", "")).removeprefix(_URN))
    if kind is None:
        kind = _BY_STATUS.get(response.status_code, AnswerUnexpected)
    if kind is RequestInvalid:
        return RequestInvalid(_faults(problem))
    detail = str(problem.get("detail", ""))
    if kind is AnswerUnexpected:
        return kind(
            f"{response.url} answered {response.status_code}: {detail or 'no reason given'}"
        )
    return kind(detail)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _faults(problem: dict[str, Any]) -> list[Fault]:
    told = [item for item in problem.get("errors") or [] if isinstance(item, dict)]
    faults = [Fault(str(item.get("pointer", "")), str(item.get("detail", ""))) for item in told]
    return faults or [Fault("", str(problem.get("detail", "refused")))]


def _retry_after_s(response: httpx.Response) -> int:
    told = response.headers.get("Retry-After", "")
    return int(told) if told.isdecimal() else 0


def slug(kind: type[LatentmillError]) -> str:
    """`UnknownJob` -> `unknown-job`."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in kind.__name__)
    return "-".join(words.lower().split())


def _by_slug() -> dict[str, type[LatentmillError]]:
    kinds = {slug(kind): kind for kind in _tree(LatentmillError)}
    return kinds | {"invalid-request": RequestInvalid}


def _tree(kind: type[LatentmillError]) -> Iterator[type[LatentmillError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
