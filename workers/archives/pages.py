"""Pages of a parquet file on their way from Arrow to the body."""

import io
from collections import deque
from typing import Any

from workers.body import Body


class Pages(io.RawIOBase):
    """The file that Arrow writes, as far as the body does not hold it yet: `size` bytes.

    Arrow ends an abandoned file too, whenever its writer is collected; the body may be another archive's by then.
    """

    def __init__(self) -> None:
        self._held: deque[memoryview] = deque()
        self._written, self.size = 0, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        page = memoryview(bytes(data))
        self._held.append(page)
        self._written += page.nbytes
        self.size += page.nbytes
        return page.nbytes

    def move_to(self, body: Body, most: int) -> None:
        """The first `most` bytes of what is held."""
        stop = max(0, self.size - most)
        while self.size > stop:
            page, part = self._held.popleft(), self.size - stop
            self.size -= body.append(page[:part])
            if page[part:]:
                self._held.appendleft(page[part:])
