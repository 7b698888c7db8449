"""Copies of a few hundred bytes, where a call of `memcpy` would cost more than the bytes."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.vector import copy_64

Bytes = npt.NDArray[np.uint8]


@njit(nogil=True, cache=True, inline="always")
def copy(source: Bytes, start: int, size: int, out: Bytes, at: int) -> None:
    """`out[at:at + size] = source[start:start + size]`, in steps of 64: touches up to 63 bytes more of both."""
    for step in range(0, size, 64):
        copy_64(out, np.uint64(at + step), source, np.uint64(start + step))


@njit(nogil=True, cache=True, inline="always")
def copy_exactly(source: Bytes, start: int, size: int, out: Bytes, at: int) -> None:
    """The same, and not a byte beyond."""
    whole = size - size % 64
    for step in range(0, whole, 64):
        copy_64(out, np.uint64(at + step), source, np.uint64(start + step))
    for index in range(whole, size):
        out[at + index] = source[start + index]
