"""One reader, hunted for a while with coverage as the guide: `python -m tests.fuzz.hunt NAME --seconds N`.

Atheris (libFuzzer) finds its way by what the code does; where it is not installed, damage is drawn blindly.
"""

import argparse
import importlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fuzz.damage import damaged

#: An input that takes longer is a hang.
HANG_S = 5
#: Address space of the process: what asks for more meets MemoryError, which no reader may let through.
MEMORY_BYTES = 4 * 2**30
#: What is watched: the code that reads, and the pure Python below it.
WATCHED = (
    *("service", "latentmill", "export.inspection.draft", "zipfile", "tarfile", "csv", "json"),
    *("numpy.lib._format_impl", "numpy.lib._npyio_impl", "PIL.PngImagePlugin"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    (_guided if find_spec("atheris") else _blind)(asked.name, asked.seconds)


def _guided(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=list(WATCHED)):
        reader = importlib.import_module("tests.fuzz.readers").READERS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(reader.seeds()):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        limits = (f"-max_total_time={seconds}", f"-timeout={HANG_S}", "-rss_limit_mb=0")
        paces = ("-print_final_stats=1", "-max_len=65536", "-verbosity=0", "-len_control=0")
        atheris.Setup([sys.argv[0], *limits, *paces, corpus], _hunted(reader))
        atheris.Fuzz()


def _hunted(reader: Any) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        try:
            reader.read(data)
        except reader.refuses:
            return

    return read


def _blind(name: str, seconds: int) -> None:
    reader, chance = importlib.import_module("tests.fuzz.readers").READERS[name], random.Random(0)
    read, seeds, runs = _hunted(reader), reader.seeds(), 0
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        data = damaged(seeds, chance)
        read(data)
        runs += 1
        if time.monotonic() - began > HANG_S:
            raise TimeoutError(f"{name} takes too long for {data!r}")
    print(f"{name}: {runs} inputs in {seconds} s without Atheris")


if __name__ == "__main__":
    main()
