"""The tests that `deploy/FAULTS.md` names: `python -m tests.faults.page` prints them for pytest."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "deploy" / "FAULTS.md"


def rows() -> dict[int, str]:
    """The lines of the matrix by number."""
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {int(number): line for number, line in lines}


def named_in(line: str) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", line)


def all_tests() -> list[str]:
    return sorted({test for line in rows().values() for test in named_in(line)})


if __name__ == "__main__":
    # What is here is run whole: a new test may not be in the table yet.
    print("tests/faults", *(test for test in all_tests() if not test.startswith("tests/faults/")))
