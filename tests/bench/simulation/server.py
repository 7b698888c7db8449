"""Things that serve one after another: each remembers when it is free again, and how long it worked."""

from heapq import heapreplace


class Server:
    """First come, first served; exact as long as it is asked in the order of time."""

    def __init__(self) -> None:
        self._free_at = self._taken_s = 0.0

    def serve(self, at: float, work_s: float) -> float:
        """When work that comes at `at` is done."""
        self._taken_s += work_s
        self._free_at = max(self._free_at, at) + work_s
        return self._free_at

    def worked_s(self, at: float) -> float:
        """Seconds of work done until `at`, without what is taken on and still waits."""
        return self._taken_s - max(0.0, self._free_at - at)


class Servers:
    """Several alike behind one line."""

    def __init__(self, number: int) -> None:
        self._free_at = [0.0] * number
        self._taken_s = 0.0

    def serve(self, at: float, work_s: float) -> float:
        self._taken_s += work_s
        done = max(self._free_at[0], at) + work_s
        heapreplace(self._free_at, done)
        return done

    def worked_s(self, at: float) -> float:
        return self._taken_s - sum(max(0.0, free_at - at) for free_at in self._free_at)
