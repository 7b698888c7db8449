"""The product with one protection taken away: what simulator or model must notice, or else they prove nothing."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

from tests.model.scripts import Change, source


@dataclass(frozen=True)
class Edit:
    """In the source of `function`, `old` becomes `new`."""

    function: Callable[..., Any]
    old: str
    new: str

    def code(self) -> CodeType:
        source = textwrap.dedent(inspect.getsource(self.function))
        assert self.old in source, f"{self.function.__qualname__} no longer holds {self.old!r}"
        names: dict[str, Any] = {}
        text = source.replace(self.old, self.new)
        exec(compile(text, "<mutant>", "exec"), dict(self.function.__globals__), names)
        code: CodeType = names[self.function.__name__].__code__
        return code


@dataclass(frozen=True)
class Mutant:
    """`name` says what it does wrong; it is in scripts or in functions."""

    name: str
    scripts: tuple[Change, ...] = ()
    edits: tuple[Edit, ...] = ()

    def __str__(self) -> str:
        return self.name.replace(" ", "_")

    def check(self) -> None:
        """Raises AssertionError when the product no longer holds what this changes."""
        for name, *_ in self.scripts:
            source(name, self.scripts)
        for edit in self.edits:
            edit.code()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Functions are changed for all who call them; scripts are changed where they are read."""
        with ExitStack() as stack:
            for edit in self.edits:
                stack.enter_context(_with_code(edit.function, edit.code()))
            yield


@contextmanager
def _with_code(function: Any, code: CodeType) -> Iterator[None]:
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


def in_script(name: str, script: str, old: str, new: str = "") -> Mutant:
    return Mutant(name, scripts=((script, old, new),))


def in_function(name: str, function: Callable[..., Any], old: str, new: str) -> Mutant:
    return Mutant(name, edits=(Edit(function, old, new),))
