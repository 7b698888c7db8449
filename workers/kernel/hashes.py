"""SHA-256 of many short rows of one length, and of a stream that grows beside them: all of it two side by side.

For x86 processors with instructions for it; see `sha256`.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.sha256 import BLOCK, ORDER, State, new_state, one_stream, two_streams

Rows = npt.NDArray[np.uint8]

#: Of each word of a state, its place among the standard's; and the state before the first block.
_ORDER, _FRESH = np.array(ORDER), new_state()


def new_pads(width: int, prefix: int) -> Rows:
    """Two messages of a prefix and `width` bytes each, padded (FIPS 180-4, 5.1.1), for rows to be copied into."""
    length = 1 + width
    pads = np.zeros((2, -(-(length + 9) // BLOCK) * BLOCK), np.uint8)
    pads[:, 0], pads[:, length] = prefix, 0x80
    pads[:, -8:] = np.frombuffer((8 * length).to_bytes(8, "big"), np.uint8)
    return pads


@njit(nogil=True, cache=True)
def put_hashes(
    rows: Rows, pads: Rows, hashes: Rows, state: State, data: Rows, start: int, left: int
) -> None:
    """Into `hashes`, uint8 [n, 32], those of `rows`, uint8 [n, width], each behind the prefix of `pads`.

    Takes `left` blocks of the stream `data` from `start` on into `state`, too: a row goes beside as many of its blocks
    while there are enough, and beside another row when there are not.
    """
    count, width = rows.shape
    blocks = pads.shape[1] // BLOCK
    states = np.empty((2, 8), np.uint32)
    first = 0
    while first < count:
        taken = 1 if left >= blocks else min(2, count - first)
        for side in range(taken):
            states[side] = _FRESH
            for at in range(width):
                pads[side, 1 + at] = rows[first + side, at]
        if left >= blocks:
            two_streams(states[0], pads[0], 0, blocks, state, data, start, blocks)
            start, left = start + BLOCK * blocks, left - blocks
        elif taken == 2:
            two_streams(states[0], pads[0], 0, blocks, states[1], pads[1], 0, blocks)
        else:
            one_stream(states[0], pads[0], 0, blocks)
        for side in range(taken):
            for word in range(8):
                for byte in range(4):
                    value = states[side, word] >> np.uint32(24 - 8 * byte)
                    hashes[first + side, 4 * _ORDER[word] + byte] = value & np.uint32(0xFF)
        first += taken
    one_stream(state, data, start, left)
