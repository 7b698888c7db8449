"""Turns at computing: as many shards are made at once as there are cores for it, whatever else is in hand.

A slot that stores its shard needs no core, so a process has more slots than cores: the next shard is made meanwhile.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cores:
    """Hands out `count` cores. Small jobs go first; among equals, who has a core keeps getting it.

    That is on purpose: one shard finished early can be stored while the next is made.
    """

    def __init__(self, count: int) -> None:
        self._free, self._small_waiting = count, 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, *, small: bool, wait_s: float, keep: Callable[[], None]) -> Iterator[None]:
        """A core for as long as the block runs. `keep` is called every `wait_s` seconds of waiting; it may raise."""
        self._take(small=small, wait_s=wait_s, keep=keep)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _take(self, *, small: bool, wait_s: float, keep: Callable[[], None]) -> None:
        while not self._taken(small=small, wait_s=wait_s):
            keep()

    def _taken(self, *, small: bool, wait_s: float) -> bool:
        with self._changed:
            self._small_waiting += small
            try:
                if not self._changed.wait_for(lambda: self._may_take(small), wait_s):
                    return False
                self._free -= 1
                return True
            finally:
                self._small_waiting -= small

    def _may_take(self, small: bool) -> bool:
        return self._free > 0 and (small or self._small_waiting == 0)
