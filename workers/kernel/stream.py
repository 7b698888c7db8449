"""DEFLATE of a stream that comes in pieces: one block in the fixed code, open until its end is put."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.deflate import Bytes, Desk, deflate, find_literals
from workers.kernel.vector import SLACK, store_8

#: Bytes taken apart at once: small enough for the first-level cache.
CHUNK = 8192


@njit(nogil=True, cache=True)
def put_runs(
    data: Bytes, staged: Bytes, desk: Desk, state: npt.NDArray[np.uint64], out: Bytes
) -> int:
    """All of `data`; returns the whole bytes written. `state` is [bits, held] of the byte that is not full yet.

    A new stream's state is [3, 3]: the header of a last block in the fixed code.
    """
    at, bits, held = np.uint64(0), state[0], state[1]
    for start in range(0, data.size, CHUNK):
        size = min(CHUNK, data.size - start)
        staged[SLACK : SLACK + size] = data[start : start + size]
        found = find_literals(staged, SLACK, size, desk)
        at, bits, held = deflate(desk, found, out, at, bits, held)
    state[0], state[1] = bits, held
    return np.int64(at)


@njit(nogil=True, cache=True)
def put_end_of_stream(state: npt.NDArray[np.uint64], out: Bytes) -> int:
    """The end of the block, seven zeros; returns the bytes written."""
    store_8(out, np.uint64(0), state[0])
    return np.int64((state[1] + np.uint64(14)) >> np.uint64(3))
