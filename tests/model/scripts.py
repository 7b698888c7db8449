"""The ledger's scripts as text: read once, named for the trace, and changed where a mutant says so."""

from functools import cache
from importlib.resources import files

from tests.model.wire import NAMED


@cache
def _read(name: str) -> str:
    return (files("service.adapters.lua") / f"{name}.lua").read_text()


#: A script's name, what is in it, and what a mutant puts there instead.
Change = tuple[str, str, str]


def source(name: str, changes: tuple[Change, ...] = ()) -> str:
    """In the place of `service.adapters.ledger._source`."""
    return _changed("prelude", changes) + _changed(name, changes) + NAMED + name


def _changed(name: str, changes: tuple[Change, ...]) -> str:
    text = _read(name)
    for script, old, new in changes:
        if script == name:
            assert old in text, f"{name}.lua no longer holds {old!r}"
            text = text.replace(old, new)
    return text
