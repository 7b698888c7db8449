"""tar's headers around a batch of files, each with its label behind it (POSIX 1003.1-1988, 10.1.1: ustar)."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.copying import copy
from workers.kernel.png import Files
from workers.kernel.zip import count_up

Bytes = npt.NDArray[np.uint8]
#: Which of several rows each file has.
Places = npt.NDArray[np.int64]

#: A header fills one block; data is filled up with zeros to whole ones.
BLOCK_BYTES = 512
#: A header's fields, as (first byte, bytes): the digits of the name, then the size and the checksum as a text of
#: octal digits, both without the zero byte that ends them.
NAME, SIZE, CHECKSUM = (0, 12), (124, 11), (148, 6)
#: While the checksum is computed, its field counts as so many spaces.
CHECKSUM_FIELD, _SPACE = 8, 32
_ZERO = 48


@njit(nogil=True, cache=True, inline="always")
def _put_octal(header: Bytes, field: tuple[int, int], value: int) -> int:
    """Fill a field with the octal digits of `value`; their sum, each counted as its character."""
    first, digits = field
    total = _ZERO * digits
    for index in range(first + digits - 1, first - 1, -1):
        header[index] = _ZERO + (value & 7)
        total += value & 7
        value >>= 3
    return total


@njit(nogil=True, cache=True, inline="always")
def _sum(header: Bytes, field: tuple[int, int]) -> int:
    first, size = field
    total = 0
    for index in range(first, first + size):
        total += header[index]
    return total


@njit(nogil=True, cache=True, inline="always")
def _sum_of_the_rest(header: Bytes) -> int:
    """What of the checksum is the same whatever the name's digits and the size are."""
    total = _sum(header, (0, BLOCK_BYTES)) - _sum(header, NAME) - _sum(header, SIZE)
    return total - _sum(header, (CHECKSUM[0], CHECKSUM_FIELD)) + CHECKSUM_FIELD * _SPACE


@njit(nogil=True, cache=True)
def put_members(
    files: Files,
    count: int,
    header: Bytes,
    labels: Bytes,
    label_size: int,
    places: Places,
    out: Bytes,
) -> int:
    """Each file behind its header, then its label; the bytes of all.

    `header` is the first file's, with zeros behind it. `labels` are members of `label_size` bytes, 0 where there are no
    labels; `places` says which of them each file has. The digits of all names count up from file to file.
    """
    at, last_digit = 0, NAME[0] + NAME[1] - 1
    rest, label_rests = _sum_of_the_rest(header), np.zeros(len(labels), np.int64)
    if label_size > 0:
        for place in range(len(labels)):
            label_rests[place] = _sum_of_the_rest(labels[place]) + _sum(labels[place], SIZE)
    for number in range(count):
        start, size = files.ends[number], files.ends[number + 1] - files.ends[number]
        name = _sum(header, NAME)
        _put_octal(header, CHECKSUM, rest + name + _put_octal(header, SIZE, size))
        copy(header, 0, BLOCK_BYTES, out, at)
        copy(files.data, start, size, out, at + BLOCK_BYTES)
        at += BLOCK_BYTES + size
        filling = -size % BLOCK_BYTES
        copy(header, BLOCK_BYTES, filling, out, at)
        at += filling
        if label_size > 0:
            label = labels[places[number]]
            for index in range(NAME[0], NAME[0] + NAME[1]):
                label[index] = header[index]
            _put_octal(label, CHECKSUM, label_rests[places[number]] + name)
            copy(label, 0, label_size, out, at)
            at += label_size
        count_up(header, last_digit)
    return at
