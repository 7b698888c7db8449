"""`deploy/SECURITY.md` is true: every risk has an answer, and every test that proves one exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "deploy" / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| **API")]


def test_every_risk_of_2023_is_answered_and_proved() -> None:
    """All ten, in order, each with at least one test."""
    risks = [re.findall(r"\*\*(API\d+):2023\*\*", row[0])[0] for row in ROWS]
    assert risks == [f"API{number}" for number in range(1, 11)]
    assert all("::test_" in row[2] for row in ROWS)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_proof_exists(file: str, name: str) -> None:
    """A renamed or deleted test takes its row with it."""
    assert name in functions_of(file)


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_name_on_the_page_is_read() -> None:
    """A name in another spelling would be checked by nobody."""
    assert PAGE.count("::test_") == len(re.findall(r"`[\w/]+\.py::\w+`", PAGE)) > 30
