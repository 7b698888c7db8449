"""Cores to make shards on: as many are made at once as there are cores for it, whatever else is in hand.

A slot that stores its shard needs no core, so a process has more slots than cores: the next shard is made meanwhile.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cores:
    """Hands out `count` cores; small jobs go first.

    `wait_s`, `keep`: while somebody waits, `keep` is called every so many seconds, and may raise.
    """

    def __init__(self, count: int, *, wait_s: float) -> None:
        self._free, self._wait_s = count, wait_s
        self._small_waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self, *, small: bool, keep: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """A core for as long as the block runs. Yields what it is to call every few milliseconds.

        That calls `keep`, and lends the core to a small job that waits for one.
        """
        self._take(small, keep)
        try:
            yield lambda: self._pause(small, keep)
        finally:
            self._give_back()

    def _pause(self, small: bool, keep: Callable[[], None]) -> None:
        keep()
        if self._small_waiting and not small:
            self._give_back()
            self._take_again(keep)

    def _take_again(self, keep: Callable[[], None]) -> None:
        try:
            self._take(False, keep)
        except BaseException:
            # The block ends without its core, but gives one back.
            with self._changed:
                self._free -= 1
            raise

    def _take(self, small: bool, keep: Callable[[], None]) -> None:
        while not self._taken(small):
            keep()

    def _taken(self, small: bool) -> bool:
        """Whether a core came free in time."""
        with self._changed:
            self._small_waiting += small
            try:
                if not self._changed.wait_for(lambda: self._may_take(small), self._wait_s):
                    return False
                self._free -= 1
                return True
            finally:
                self._small_waiting -= small

    def _may_take(self, small: bool) -> bool:
        return self._free > 0 and (small or not self._small_waiting)

    def _give_back(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
