"""The clock of a peer, its memory, and the one line of JSON in which it tells both.

Import it before anything heavy: the time with start is counted from here.
"""

import json
import threading
import time
from importlib.metadata import version

import psutil
from errand import Errand

STARTED = time.perf_counter()
#: Reading a process's share of memory costs milliseconds; a peer has up to a dozen processes.
SAMPLE_EVERY_S = 0.5


class Watch:
    """Steady seconds between `start` and `stop`; the peak memory of this process and all below it."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.started = self.stopped = 0.0
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def start(self, at: float | None = None) -> None:
        """Steady work begins now, or began `at` a time of `time.perf_counter`."""
        self.started = time.perf_counter() if at is None else at

    def stop(self) -> None:
        self.stopped = time.perf_counter()
        self.peak_bytes = max(self.peak_bytes, tree_bytes())
        self._over.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, tree_bytes())

    def tell(self, peer: str, errand: Errand, packages: list[str], size_bytes: int) -> None:
        seconds = self.stopped - self.started
        told = {
            "peer": peer,
            "versions": {package: version(package) for package in packages},
            "images": errand.count,
            "seconds": round(seconds, 3),
            "seconds_with_start": round(self.stopped - STARTED, 3),
            "bytes": size_bytes,
            "images_per_s": round(errand.count / seconds),
            "peak_rss_mb": round(self.peak_bytes / 1e6),
        }
        print(json.dumps(told), flush=True)


def tree_bytes() -> int:
    """Resident bytes of this process and its descendants, each shared page counted once (Linux's PSS)."""
    me = psutil.Process()
    return sum(_resident_bytes(process) for process in (me, *me.children(recursive=True)))


def _resident_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))
