"""Who runs beside whom in a process: a shard that was tried before runs alone.

What killed its worker would take the shards beside it along each time, until they too had used their attempts up;
and what found no memory finds more of it alone.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


class Company:
    """Lets first tries run beside each other, and every other try by itself."""

    def __init__(self) -> None:
        self._running, self._is_closed = 0, False
        self._changed = threading.Condition()

    def of(self, *, was_tried: bool) -> AbstractContextManager[None]:
        """Wait until the try may run; others may join it if it is the shard's first."""
        return self._alone() if was_tried else self._among_others()

    @contextmanager
    def _among_others(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._changed:
            # Closed at once, or first tries that keep coming would keep it waiting.
            self._changed.wait_for(lambda: not self._is_closed)
            self._is_closed = True
            self._changed.wait_for(lambda: not self._running)
        try:
            yield
        finally:
            with self._changed:
                self._is_closed = False
                self._changed.notify_all()
