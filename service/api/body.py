"""Reads a JSON body, counting while it streams: a lying Content-Length cannot fill the memory."""

import asyncio
import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from fastapi import Request

from service.api.refusals import BodyTooLarge, BodyTooSlow, MalformedBody

#: A body that is too large is read on, and dropped, up to this many times the limit: whoever is
#: still sending when the connection closes may never see the answer.
_PATIENCE = 16
_BODY_TIMEOUT_S = 20.0
#: Below Python's own limit, whose message speaks of interpreter settings.
_LONGEST_INTEGER = 4000
#: No integer of the contract is larger.
_BEYOND_INTEGERS = 2.0**64


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """The parsed body. Raises BodyTooLarge, BodyTooSlow or MalformedBody."""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = await _read(request, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow from error
    return parsed(body)


def parsed(body: bytes) -> Any:
    """The JSON value, spelt strictly. Raises MalformedBody."""
    try:
        return _parsed(body)
    # RecursionError: a few kilobytes of brackets.
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the body is not JSON: {error}") from error


async def _read(request: Request, max_bytes: int) -> bytes:
    too_large = BodyTooLarge(f"the body is larger than {max_bytes} bytes")
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared[:18]) > _PATIENCE * max_bytes:
        # Before the first read: curl then spares the upload, for it asks with `Expect: 100-continue`.
        raise too_large
    body, size_bytes = bytearray(), 0
    async for piece in request.stream():
        size_bytes += len(piece)
        if size_bytes <= max_bytes:
            body += piece
        elif size_bytes > _PATIENCE * max_bytes:
            break
    if size_bytes > max_bytes:
        raise too_large
    return bytes(body)


def _parsed(body: bytes) -> Any:
    # Decoded here: `json.loads` would also guess UTF-16 and UTF-32, which JSON is not.
    return json.loads(
        body.decode(),
        parse_constant=_refuse,
        parse_int=_integer,
        parse_float=_float,
        object_pairs_hook=_object,
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _float(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        # It has no canonical spelling, which idempotency rests on.
        raise ValueError("a number is beyond the range of floats")
    return _whole(text) if abs(number) < _BEYOND_INTEGERS and number.is_integer() else number


def _whole(text: str) -> int | float:
    """To JSON Schema, and so to our OpenAPI document, 7.0 is an integer; to RFC 8785 too, which spells it 7."""
    try:
        exact = Decimal(text)
    except InvalidOperation:
        # A nought with an exponent beyond all bounds.
        return float(text)
    return int(exact) if exact == exact.to_integral_value() else float(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    if any("\ud800" <= letter <= "\udfff" for name in fields for letter in name):
        raise ValueError("a name holds half of a surrogate pair")
    return fields
