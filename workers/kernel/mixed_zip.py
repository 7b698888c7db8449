"""The same as `workers.kernel.zip` where members lie in folders of several names: each has one of several headers."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.copying import copy
from workers.kernel.png import Files
from workers.kernel.zip import (
    ENTRY_CRC,
    ENTRY_HEADER,
    ENTRY_OFFSET,
    LOCAL_CRC,
    LOCAL_HEADER,
    Bytes,
    Numbers,
    put_le,
)

#: Headers are rows of bytes, one for each folder: how many bytes of each count, and which of them each file has.
Whole = npt.NDArray[np.int64]

_DIGITS, _SUFFIX = 12, 4


@njit(nogil=True, cache=True, inline="always")
def _put_name(out: Bytes, end: int, index: int) -> None:
    """The digits of a name that ends before `end`."""
    for at in range(end - _SUFFIX - 1, end - _SUFFIX - _DIGITS - 1, -1):
        out[at] = ord("0") + index % 10
        index //= 10


@njit(nogil=True, cache=True)
def put_mixed_members(
    files: Files,
    count: int,
    first: int,
    headers: Bytes,
    header_sizes: Whole,
    places: Whole,
    crcs: Numbers,
    sizes: Numbers,
    out: Bytes,
) -> int:
    """Each file behind its header; the bytes of all. Names count up from `first`.

    What the directory is to say of each file goes into `crcs` and `sizes`.
    """
    at = 0
    for number in range(count):
        start, packed = files.ends[number], files.ends[number + 1] - files.ends[number]
        size = header_sizes[places[number]]
        copy(headers[places[number]], 0, size, out, at)
        put_le(out, at + LOCAL_CRC, files.crcs[number])
        put_le(out, at + LOCAL_CRC + 4, np.uint32(packed))
        put_le(out, at + LOCAL_CRC + 8, np.uint32(packed))
        _put_name(out, at + size, first + number)
        copy(files.data, start, packed, out, at + size)
        crcs[number], sizes[number] = files.crcs[number], packed
        at += size + packed
    return at


@njit(nogil=True, cache=True)
def put_mixed_directory(
    crcs: Numbers,
    sizes: Numbers,
    first: int,
    entries: Bytes,
    entry_sizes: Whole,
    places: Whole,
    out: Bytes,
) -> int:
    """The directory's entries of members that lie side by side from the archive's start; the bytes of all."""
    at, offset = 0, np.uint32(0)
    for number in range(crcs.size):
        size = entry_sizes[places[number]]
        copy(entries[places[number]], 0, size, out, at)
        put_le(out, at + ENTRY_CRC, crcs[number])
        put_le(out, at + ENTRY_CRC + 4, sizes[number])
        put_le(out, at + ENTRY_CRC + 8, sizes[number])
        put_le(out, at + ENTRY_OFFSET, offset)
        _put_name(out, at + size, first + number)
        at += size
        offset += np.uint32(LOCAL_HEADER + size - ENTRY_HEADER) + sizes[number]
    return at
