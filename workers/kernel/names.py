"""Names that count up, side by side."""

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.zip import count_up

Bytes = npt.NDArray[np.uint8]


def names_from(first: str, last_digit: int, count: int) -> Bytes:
    """`count` names of equal length: the first, and those whose number, which ends at `last_digit`, follows."""
    name = np.frombuffer(first.encode("ascii"), np.uint8).copy()
    names = np.empty(count * name.size, np.uint8)
    _put_names(name, last_digit, count, names)
    return names


@njit(nogil=True, cache=True)
def _put_names(name: Bytes, digit: int, count: int, out: Bytes) -> None:
    at = 0
    for _ in range(count):
        for index in range(name.size):
            out[at + index] = name[index]
        at += name.size
        count_up(name, digit)
