"""Files that wait, side by side, until there are enough for a row group."""

import numpy as np
import pyarrow as pa

from workers.kernel.png import Files


class Rows:
    """Up to `most` files of up to `largest` bytes. Memory that no file was copied to costs nothing."""

    def __init__(self, most: int, largest: int) -> None:
        self._data = np.empty(most * largest, np.uint8)
        self._ends = np.zeros(most + 1, np.int32)
        self.count = 0

    @property
    def are_full(self) -> bool:
        return self.count == self._ends.size - 1

    def clear(self) -> None:
        self.count = 0

    def take(self, files: Files, first: int, stop: int) -> int:
        """Copy files from number `first` on and before `stop`, as many as fit; how many that is."""
        taken = min(stop - first, self._ends.size - 1 - self.count)
        start, end, at = files.ends[first], files.ends[first + taken], self._ends[self.count]
        self._data[at : at + end - start] = files.data[start:end]
        ends = files.ends[first + 1 : first + taken + 1] - start + at
        self._ends[self.count + 1 : self.count + taken + 1] = ends
        self.count += taken
        return taken

    def array(self) -> pa.Array:
        """The files as Arrow's binary, not copied: valid until the next `take`."""
        ends = self._ends[: self.count + 1]
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(self._data[: ends[-1]])]
        return pa.Array.from_buffers(pa.binary(), self.count, buffers)
