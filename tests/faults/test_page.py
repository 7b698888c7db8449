"""The table of faults is true: 42 rows, each with tests that are there."""

import ast
from pathlib import Path

import pytest

from tests.faults.page import ROOT, all_tests, named_in, rows
from tests.faults.points import POINTS


def test_every_row_is_there_and_names_a_test() -> None:
    """In order, none twice, none without."""
    assert list(rows()) == list(range(1, 43))
    assert [number for number, line in rows().items() if not named_in(line)] == []


@pytest.mark.parametrize("path", sorted({test.partition("::")[0] for test in all_tests()}))
def test_every_named_test_exists(path: str) -> None:
    """A test that was renamed is renamed in the table."""
    named = {test for test in all_tests() if test.startswith(f"{path}::")}
    assert named <= _tests_in(ROOT / path, path)


def _tests_in(file: Path, path: str) -> set[str]:
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"{path}::{node.name}")
        elif isinstance(node, ast.ClassDef):
            methods = (item for item in node.body if isinstance(item, ast.FunctionDef))
            found |= {f"{path}::{node.name}::{method.name}" for method in methods}
    return found


def test_kill_points_are_numbered_in_order() -> None:
    """The table calls them by number."""
    assert [point.number for point in POINTS] == list(range(1, len(POINTS) + 1))
    assert f"{len(POINTS)} kill points" in rows()[5]
