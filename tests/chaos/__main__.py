"""`python -m tests.chaos --seconds 600 --seed 1`: exit code 1 on any violation; the folder of such a run stays."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.chaos.run import Plan, run
from tests.fixtures.fleet import QUICK

#: Told in this order; violations and diary follow on their own.
_UNTOLD = ("violations", "diary", "settings")


def main() -> int:
    arguments = _parser().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="latentmill-chaos-"))
    settings: dict[str, Any] = dict(QUICK) if arguments.quick else {}
    report = run(Plan(arguments.seconds, arguments.seed, folder, settings))
    for name, value in report.items():
        if name not in _UNTOLD:
            print(f"{name.replace('_', ' '):>24}  {_words(value)}")
    for violation in report["violations"]:
        print(f"VIOLATION {violation}", file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if report["violations"]:
        (folder / "report.json").write_text(json.dumps(report, indent=1))
        print(f"logs and storage are in {folder}; --seed {arguments.seed} again?", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long faults go on")
    parser.add_argument("--seed", type=int, default=1, help="chooses faults and requests")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--quick", action="store_true", help="short leases, as in the tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
