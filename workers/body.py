"""The bytes of one archive as they grow, in memory that the next archive uses again."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import numpy.typing as npt

from workers.kernel.vector import SLACK

Bytes = npt.NDArray[np.uint8]


class Body:
    """One buffer, as large as the largest archive it held: it is neither copied to grow nor given back.

    Memory that nothing was written to yet costs nothing, so an archive may reserve its worst case.
    """

    def __init__(self) -> None:
        self._bytes: Bytes = np.empty(0, np.uint8)
        self.size = 0

    def begin(self, most: int) -> None:
        """Forget what was held and make room for an archive of up to `most` bytes. Raises MemoryError."""
        self.size = 0
        if self._bytes.size < most + SLACK:
            self._bytes = np.frombuffer(_pages(most + SLACK), np.uint8)

    def room(self) -> Bytes:
        """What is free, for a kernel to write into; its last SLACK bytes stay unused."""
        return self._bytes[self.size :]

    def grow(self, size: int) -> None:
        """Say that the first `size` bytes of `room()` are written."""
        if self.size + size > self._bytes.size - SLACK:
            raise BufferError(f"an archive grew past the {self._bytes.size - SLACK} bytes reserved")
        self.size += size

    def append(self, data: bytes | memoryview) -> int:
        """Copy `data` behind what is held; returns its size."""
        size = memoryview(data).nbytes
        self.room()[:size] = np.frombuffer(data, np.uint8)
        self.grow(size)
        return size

    def view(self, start: int = 0) -> memoryview:
        """What is held from `start` on, not copied: valid until `begin`."""
        return self._bytes[start : self.size].data


def _pages(size: int) -> mmap.mmap:
    """Whole pages of their own: a disk takes them as they are, without a copy."""
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # A kernel built without huge pages refuses, and works.
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


class Bodies:
    """The bodies of a process: as many as shards were ever made at once, each used again."""

    def __init__(self) -> None:
        self._idle: list[Body] = []

    @contextmanager
    def one(self) -> Iterator[Body]:
        """A body that nobody else uses until the block ends."""
        try:
            body = self._idle.pop()
        except IndexError:
            body = Body()
        try:
            yield body
        finally:
            self._idle.append(body)
