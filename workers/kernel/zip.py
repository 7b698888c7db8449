"""ZIP's headers around a batch of files, and the archive's directory (PKWARE APPNOTE 6.3.10, 4.3)."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.copying import copy
from workers.kernel.png import Files
from workers.kernel.vector import load_8, store_8

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint32]

#: Where CRC-32 and the two sizes stand in a local header and in an entry of the directory.
LOCAL_CRC, ENTRY_CRC, ENTRY_OFFSET = 14, 16, 42
LOCAL_HEADER, ENTRY_HEADER = 30, 46


@njit(nogil=True, cache=True, inline="always")
def put_le(out: Bytes, at: int, value: np.uint32) -> None:
    """A little-endian number of four bytes."""
    out[at] = value & np.uint32(0xFF)
    out[at + 1] = value >> np.uint32(8) & np.uint32(0xFF)
    out[at + 2] = value >> np.uint32(16) & np.uint32(0xFF)
    out[at + 3] = value >> np.uint32(24)


@njit(nogil=True, cache=True, inline="always")
def count_up(text: Bytes, last: int) -> None:
    """Add one to the decimal number whose last digit is `text[last]`."""
    while text[last] == ord("9"):
        text[last] = ord("0")
        last -= 1
    text[last] += 1


@njit(nogil=True, cache=True, inline="always")
def _put_exactly(source: Bytes, size: int, out: Bytes, at: int) -> None:
    """`out[at:at + size] = source[:size]` and not a byte beyond; at least eight."""
    for step in range(0, size - 8, 8):
        store_8(out, np.uint64(at + step), load_8(source, np.uint64(step)))
    store_8(out, np.uint64(at + size - 8), load_8(source, np.uint64(size - 8)))


@njit(nogil=True, cache=True)
def put_headers(
    files: Files, count: int, crcs: Numbers, sizes: Numbers, header: Bytes, size: int, digit: int
) -> None:
    """A local header into the gap before each file. `header` is the first one's, `size` bytes long, as the gaps are.

    Its name counts up from file to file at `digit`, and `header` is left at the next file's name. What the directory
    is to say of each file goes into `crcs` and `sizes`.
    """
    for number in range(count):
        at = files.ends[number]
        packed = files.ends[number + 1] - at - size
        crcs[number], sizes[number] = files.crcs[number], packed
        put_le(header, LOCAL_CRC, files.crcs[number])
        put_le(header, LOCAL_CRC + 4, np.uint32(packed))
        put_le(header, LOCAL_CRC + 8, np.uint32(packed))
        _put_exactly(header, size, files.data, at)
        count_up(header, digit)


@njit(nogil=True, cache=True)
def put_directory(
    crcs: Numbers,
    sizes: Numbers,
    entry: Bytes,
    size: int,
    digit: int,
    out: Bytes,
) -> int:
    """The directory's entries of members that lie side by side from the archive's start; the bytes of all.

    `entry` is the first one's, `size` bytes long, with the last digit of its name at `digit`.
    """
    at, offset = 0, np.uint32(0)
    for number in range(crcs.size):
        put_le(entry, ENTRY_CRC, crcs[number])
        put_le(entry, ENTRY_CRC + 4, sizes[number])
        put_le(entry, ENTRY_CRC + 8, sizes[number])
        put_le(entry, ENTRY_OFFSET, offset)
        copy(entry, 0, size, out, at)
        at += size
        offset += np.uint32(LOCAL_HEADER + size - ENTRY_HEADER) + sizes[number]
        count_up(entry, digit)
    return at


@njit(nogil=True, cache=True)
def put_rows(count: int, row: Bytes, size: int, name_digit: int, digits: int, out: Bytes) -> int:
    """Rows of metadata.csv, `{name},{label},{index}`; the bytes of all.

    `row` is the first one's with the index at full length: `size` bytes that end with its `digits` and a newline.
    """
    at, last = 0, size - 2
    first, leading = size - 1 - digits, size - 1 - digits
    for _ in range(count):
        while leading < last and row[leading] == ord("0"):
            leading += 1
        copy(row, 0, first, out, at)
        at += first
        for index in range(leading, size):
            out[at] = row[index]
            at += 1
        count_up(row, name_digit)
        count_up(row, last)
        if leading > first and row[leading - 1] != ord("0"):
            leading -= 1
    return at
