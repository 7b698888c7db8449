"""PNG's line filters, chosen line by line: what a compressor needs to make photographs and RGB images small.

The choice is the heuristic of the PNG specification (RFC 2083, 9.6): the filter whose bytes, read as signed numbers,
have the least sum of absolute values.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]

_FILTERS = 5


@njit(nogil=True, cache=True, inline="always")
def _paeth(left: int, above: int, corner: int) -> int:
    """The neighbour nearest to left + above - corner (RFC 2083, 6.6)."""
    to_left, to_above = abs(above - corner), abs(left - corner)
    to_corner = abs(left + above - 2 * corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


@njit(nogil=True, cache=True)
def filter_lines(image: Bytes, step: int, lines: Bytes) -> None:
    """Lines of one image, uint8 [height, row_bytes], into `lines` [height, 1 + row_bytes]; `step` bytes a pixel."""
    height, row_bytes = image.shape
    tried, costs = np.empty((_FILTERS, row_bytes), np.uint8), np.empty(_FILTERS, np.int64)
    for row in range(height):
        costs[:] = 0
        for column in range(row_bytes):
            here = np.int64(image[row, column])
            left = np.int64(image[row, column - step]) if column >= step else 0
            above = np.int64(image[row - 1, column]) if row > 0 else 0
            corner = np.int64(image[row - 1, column - step]) if row > 0 and column >= step else 0
            predicted = (0, left, above, (left + above) // 2, _paeth(left, above, corner))
            for kind in range(_FILTERS):
                value = (here - predicted[kind]) & 0xFF
                tried[kind, column] = value
                costs[kind] += min(value, 256 - value)
        best = np.argmin(costs)
        lines[row, 0] = best
        lines[row, 1:] = tried[best]
