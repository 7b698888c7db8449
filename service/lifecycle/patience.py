"""Hosts that did not answer lately: a thousand webhooks for one of them must not keep the senders from all others."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: After the first silence, and the most after many; each one doubles it.
_FIRST_S, _LONGEST_S = 5.0, 300.0
#: Hosts remembered; a forgotten one is merely asked again.
_MOST_HOSTS = 10_000


class Patience:
    """How long each host is left alone, as one process has met it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._silent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, host: str) -> float:
        """Seconds until the host may be asked again; 0 for one that answers."""
        with self._lock:
            until, _ = self._silent.get(host, (0.0, 0.0))
            return max(0.0, until - self._clock())

    def note_answer(self, host: str) -> None:
        with self._lock:
            self._silent.pop(host, None)

    def note_silence(self, host: str) -> None:
        with self._lock:
            until, pause_s = self._silent.pop(host, (0.0, _FIRST_S / 2))
            if until <= self._clock():
                # Of several that were under way at once only the first counts.
                pause_s = min(2 * pause_s, _LONGEST_S)
                until = self._clock() + pause_s
            self._silent[host] = (until, pause_s)
            while len(self._silent) > _MOST_HOSTS:
                self._silent.popitem(last=False)
