"""What Redis holds must not contradict itself, at any moment between two scripts."""

from functools import cache
from importlib.resources import files
from typing import Any


def contradictions(client: Any, now_ms: int) -> list[str]:
    return [
        word.decode() if isinstance(word, bytes) else word
        for word in client.register_script(_source())(args=[now_ms])
    ]


@cache
def _source() -> str:
    return (files("tests.model") / "consistency.lua").read_text()
