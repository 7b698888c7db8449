"""What is asked for, as the client is told it and as a request says it."""

from collections.abc import Mapping
from typing import Any, TypedDict


class Wanted(TypedDict, total=False):
    """What is asked for beside decoder and label; the server chooses what is left out."""

    count: int
    labels: Mapping[str, int] | None
    seed: int | str | None
    format: str
    temperature: float
    compression: str
    shard_size: int | None


def request_body(decoder: str, label: int | str | None, what: Wanted) -> dict[str, Any]:
    """The body of a request; what was not given is left out, for the server to choose."""
    given = {"decoder": decoder, "label": label} | what
    return {name: value for name, value in given.items() if value is not None}
