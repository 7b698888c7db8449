"""Reads a JSON body, counting while it streams: a lying Content-Length cannot fill the memory."""

import json
from typing import Any, NoReturn

from fastapi import Request

from service.api.problems import BodyTooLarge, MalformedBody


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """The parsed body. Raises BodyTooLarge or MalformedBody."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")
    try:
        return json.loads(body, parse_constant=_refuse, object_pairs_hook=_without_doubles)
    # RecursionError: a few kilobytes of brackets; ValueError: also a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the body is not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return fields
