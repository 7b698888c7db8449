"""CRC-32 as PNG and ZIP use it (ISO 3309, polynomial 0xEDB88320 reflected), sixteen bytes a step.

The tables follow M. E. Kounavis and F. L. Berry, "Novel table lookup-based algorithms for high-performance CRC
generation" (2008): table k holds what a byte does to the state k bytes later.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.clmul import fold, has_clmul
from workers.kernel.vector import load_8

Bytes = npt.NDArray[np.uint8]

POLYNOMIAL = np.uint32(0xEDB88320)
ALL_ONES = np.uint32(0xFFFFFFFF)
_BYTE = np.uint64(0xFF)


def _tables() -> npt.NDArray[np.uint32]:
    tables = np.arange(256, dtype=np.uint32).repeat(16).reshape(256, 16).T.copy()
    for _ in range(8):
        tables[0] = (tables[0] >> 1) ^ np.where(tables[0] & 1, POLYNOMIAL, np.uint32(0))
    for k in range(1, 16):
        tables[k] = (tables[k - 1] >> 8) ^ tables[0][tables[k - 1] & 0xFF]
    return tables


_TABLES = _tables()


@njit(nogil=True, cache=True, inline="always")
def _eight(word: np.uint64, first: int) -> np.uint32:  # pragma: no cover - compiled
    """What eight bytes do to the state `first` bytes after the last of them."""
    return (
        _TABLES[first + 7, word & _BYTE]
        ^ _TABLES[first + 6, (word >> np.uint64(8)) & _BYTE]
        ^ _TABLES[first + 5, (word >> np.uint64(16)) & _BYTE]
        ^ _TABLES[first + 4, (word >> np.uint64(24)) & _BYTE]
        ^ _TABLES[first + 3, (word >> np.uint64(32)) & _BYTE]
        ^ _TABLES[first + 2, (word >> np.uint64(40)) & _BYTE]
        ^ _TABLES[first + 1, (word >> np.uint64(48)) & _BYTE]
        ^ _TABLES[first, word >> np.uint64(56)]
    )


@njit(nogil=True, cache=True, inline="always")
def _advance_by_tables(state: np.uint32, data: Bytes, at: np.uint64, end: np.uint64) -> np.uint32:
    """Like `advance`."""
    sixteen, eight = np.uint64(16), np.uint64(8)
    while at + sixteen <= end:
        word = load_8(data, at) ^ np.uint64(state)
        state = _eight(word, 8) ^ _eight(load_8(data, at + eight), 0)
        at += sixteen
    if at + eight <= end:
        state = _eight(load_8(data, at) ^ np.uint64(state), 0)
        at += eight
    while at < end:
        state = _TABLES[0, (state ^ data[at]) & np.uint32(0xFF)] ^ (state >> np.uint32(8))
        at += np.uint64(1)
    return state


@njit(nogil=True, cache=True, inline="always")
def _advance_by_folding(state: np.uint32, data: Bytes, at: np.uint64, end: np.uint64) -> np.uint32:
    """Like `advance`: whole blocks of sixteen bytes are folded into one, which the tables take in."""
    blocks = (end - at) >> np.uint64(4)
    if blocks > np.uint64(1):
        low, high = fold(data, at, blocks, np.uint64(state))
        state = _eight(low, 8) ^ _eight(high, 0)
        at += blocks << np.uint64(4)
    return _advance_by_tables(state, data, at, end)


_advance = _advance_by_folding if has_clmul() else _advance_by_tables


@njit(nogil=True, cache=True, inline="always")
def advance(state: np.uint32, data: Bytes, start: int, stop: int) -> np.uint32:
    """The state after `data[start:stop]`; the checksum is the state that began with ones, inverted."""
    return _advance(state, data, np.uint64(start), np.uint64(stop))
