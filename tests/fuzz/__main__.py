"""Hunt every reader, one after the other, each in a process of its own: `python -m tests.fuzz --seconds 600`."""

import argparse
import subprocess
import sys

from tests.fuzz.readers import READERS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("names", nargs="*", default=list(READERS))
    asked = parser.parse_args()
    broken = [name for name in asked.names if _hunt(name, asked.seconds)]
    print(
        f"{len(asked.names)} readers, {asked.seconds} s each; broken: {', '.join(broken) or 'none'}"
    )
    return bool(broken)


def _hunt(name: str, seconds: int) -> int:
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", "tests.fuzz.hunt", name, "--seconds", str(seconds)]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
