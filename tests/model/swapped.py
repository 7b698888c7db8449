"""Another thing in the place of one, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def swapped(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Only clocks, ids and what makes pixels; never what is tested, except by a mutant."""
    before = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, before)
