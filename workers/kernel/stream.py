"""DEFLATE of a stream that comes in pieces: one block in the fixed code, open until its end is put."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.copying import copy_exactly
from workers.kernel.deflate import Bytes, Desk, deflate, find_literals
from workers.kernel.vector import SLACK, store_8

#: Bytes taken apart at once: small enough for the first-level cache.
CHUNK = 8192


@njit(nogil=True, cache=True)
def put_runs(
    data: Bytes, staged: Bytes, desk: Desk, state: npt.NDArray[np.uint64], out: Bytes
) -> np.int64:
    """Take in all of `data`; returns the bytes written. What is written follows from the stream, not from its pieces.

    `state` is [bits, held, waiting]: the byte that is not full yet, and how many bytes of the next chunk lie in
    `staged`. A new stream's state is [3, 3, 0]: the header of a last block in the fixed code.
    """
    at, bits, held = np.uint64(0), state[0], state[1]
    waiting: Any = np.int64(state[2])  # Beside an int, Numba would make a uint64 a float.
    start = 0
    while start < data.size:
        size = min(CHUNK - waiting, data.size - start)
        copy_exactly(data, start, size, staged, SLACK + waiting)
        start += size
        waiting += size
        if waiting == CHUNK:
            found = find_literals(staged, SLACK, CHUNK, desk)
            at, bits, held = deflate(desk, found, out, at, bits, held)
            waiting = 0
    state[0], state[1], state[2] = bits, held, waiting
    return np.int64(at)


@njit(nogil=True, cache=True)
def put_end_of_stream(
    staged: Bytes, desk: Desk, state: npt.NDArray[np.uint64], out: Bytes
) -> np.int64:
    """What waits, and the end of the block, seven zeros; returns the bytes written."""
    at, bits, held = np.uint64(0), state[0], state[1]
    waiting: Any = np.int64(state[2])  # Beside an int, Numba would make a uint64 a float.
    if waiting:
        found = find_literals(staged, SLACK, waiting, desk)
        at, bits, held = deflate(desk, found, out, at, bits, held)
    store_8(out, at, bits)
    return np.int64(at + ((held + np.uint64(14)) >> np.uint64(3)))
