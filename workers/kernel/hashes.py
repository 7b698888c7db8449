"""SHA-256 of many short rows of one length, two side by side: what a hash tree is made of.

For x86 processors with instructions for it; see `sha256`.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.sha256 import BLOCK, ORDER, new_state, one_stream, two_streams

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
def put_hashes(rows: Rows, pads: Rows, hashes: Rows) -> None:
    """Into `hashes`, uint8 [n, 32], those of `rows`, uint8 [n, width], each behind the prefix of `pads`."""
    count, width = rows.shape
    blocks = pads.shape[1] // BLOCK
    states = np.empty((2, 8), np.uint32)
    for first in range(0, count, 2):
        both = min(2, count - first)
        for side in range(both):
            states[side] = _FRESH
            for at in range(width):
                pads[side, 1 + at] = rows[first + side, at]
        if both == 2:
            two_streams(states[0], pads[0], 0, blocks, states[1], pads[1], 0, blocks)
        else:
            one_stream(states[0], pads[0], 0, blocks)
        for side in range(both):
            for word in range(8):
                for byte in range(4):
                    value = states[side, word] >> np.uint32(24 - 8 * byte)
                    hashes[first + side, 4 * _ORDER[word] + byte] = value & np.uint32(0xFF)
