"""Reads server-sent events (WHATWG HTML, 9.2), and goes on where a lost connection left off."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from latentmill.transport import Transport

from service.contract.errors import LimitReached, Unavailable


def events(transport: Transport, path: str) -> Iterator[Any]:
    """The data of each event until `end`. Raises what the server refuses with, and ServerUnreachable."""
    seen, away_since = "", None
    while True:
        try:
            with transport.stream(path, {"Last-Event-ID": seen}, chunk_bytes=None) as chunks:
                for event in _parsed(_lines(chunks)):
                    seen, away_since = event["id"], None
                    yield json.loads(event["data"])
                    if event["event"] == "end":
                        return
        except (Unavailable, LimitReached) as error:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since + error.retry_after_s > transport.patience_s:
                raise
            time.sleep(max(error.retry_after_s, 0.5))


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Events that are complete: a blank line ends one, and a comment begins with a colon."""
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in event:
                yield {"event": "message", "id": ""} | event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")
