"""DEFLATE (RFC 1951) of flat pixels: literals and runs in the fixed Huffman code, thousands of bytes a microsecond.

Decoded digits are flat ground and smooth strokes. Nearly all that a search for matches would find in them are runs
of one byte, and the fixed code spares each small image a table of its own. So there is no search: one comparison
of the bytes with their neighbours finds all runs, and what remains are pairs (literal, length of the run behind it).

Compiled functions are inlined here and in `png`: a call between them would count references to its arrays, which
took a fifth of the time.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.vector import (
    SLACK,
    count_ones,
    keep_bytes,
    keep_positions,
    repeats_64,
    store_8,
)

Bytes = npt.NDArray[np.uint8]

#: Most bytes of one call: positions are uint16.
MAX_BYTES = 2**16 - 2**9
#: Longest run of one match (RFC 1951, 3.2.5).
_LONGEST = 258

_ONE, _TWO, _WORD = np.uint64(1), np.uint64(2), np.uint64(64)
#: The lowest six bits, and how far above them a code lies.
_BITS, _CODE = np.uint64(63), np.uint64(6)


class Desk(NamedTuple):
    """Where one image is taken apart: for each literal its position and its byte."""

    positions: npt.NDArray[np.uint16]
    literals: Bytes


def new_desk(size: int) -> Desk:
    """For calls of up to `size` bytes."""
    return Desk(np.empty(size + SLACK, np.uint16), np.empty(size + SLACK, np.uint8))


def _fixed_code(symbol: int) -> tuple[int, int]:
    """(bits, their number) of a literal or length symbol, first bit lowest (RFC 1951, 3.2.6 and 3.1.1)."""
    for first, last, code, bits in (
        (0, 143, 0x30, 8),
        (144, 255, 0x190, 9),
        (256, 279, 0, 7),
        (280, 287, 0xC0, 8),
    ):
        if first <= symbol <= last:
            return int(f"{code + symbol - first:0{bits}b}"[::-1], 2), bits
    raise ValueError(symbol)


def _run_code(length: int) -> tuple[int, int]:
    """A match of `length` bytes at distance 1, whose code is five zeros (RFC 1951, 3.2.5)."""
    if length == _LONGEST:
        code, bits = _fixed_code(285)
        return code, bits + 5
    extra = max(0, (length - 3).bit_length() - 3)
    symbol = 257 + 4 * extra + ((length - 3) >> extra)
    code, bits = _fixed_code(symbol)
    return code | ((length - 3) & ((1 << extra) - 1)) << bits, bits + extra + 5


def _packed(codes: list[tuple[int, int]]) -> npt.NDArray[np.uint32]:
    return np.array([code << 6 | bits for code, bits in codes], np.uint32)


#: By byte, and by the distance from a literal to the next (a run of one byte less): the number of bits in the
#: lowest six, where a shift finds it, and the code above. No run is shorter than three.
_LITERALS = _packed([_fixed_code(symbol) for symbol in range(256)])
_RUNS = _packed([(0, 0)] * 4 + [_run_code(length) for length in range(3, _LONGEST + 1)])


@njit(nogil=True, cache=True, inline="always")
def _repeats(data: Bytes, start: np.uint64, position: np.uint64, size: np.uint64) -> np.uint64:
    """Of the 64 bytes from `start + position` on: which equal the byte before them, and lie within `size`."""
    same = repeats_64(data, start + position)
    if position + _WORD > size:
        same &= (_ONE << (size - position)) - _ONE if position < size else np.uint64(0)
    return same


@njit(nogil=True, cache=True, inline="always")
def find_literals(data: Bytes, start: int, size: int, desk: Desk) -> np.uint64:
    """Positions (from `start`) and bytes of all that no run of three or more equal bytes covers; their number.

    The first byte is always a literal. Reads one byte before `start` and SLACK bytes behind, whatever they hold.
    """
    first, left, found, last = np.uint64(start), np.uint64(size), np.uint64(0), np.uint64(0)
    position, spill = np.uint64(0), np.uint64(0)
    ahead = _repeats(data, first, position, left) & ~_ONE
    while position < left:
        here, after = ahead, position + _WORD
        ahead = _repeats(data, first, after, left)
        if here == ~np.uint64(0) and after - last > np.uint64(_LONGEST - 64):
            # A run may not grow past the longest match: its next byte is a literal again.
            ahead &= ~_ONE
            last = after
        inside = here & (here >> _ONE | ahead << np.uint64(63))
        inside &= here >> _TWO | ahead << np.uint64(62)
        keep = ~(inside | inside << _ONE | inside << _TWO | spill)
        spill = inside >> np.uint64(63) | inside >> np.uint64(62)
        if after > left:
            keep &= (_ONE << (left - position)) - _ONE
        if keep != np.uint64(0):
            keep_positions(desk.positions, found, position, keep)
            keep_bytes(desk.literals, found, data, first + position, keep)
            found += count_ones(keep)
            last = np.uint64(desk.positions[found - _ONE])
        position = after
    desk.positions[found] = np.uint16(size)
    return found


@njit(nogil=True, cache=True, inline="always")
def deflate(
    desk: Desk, found: int, out: Bytes, at: int, bits: np.uint64, held: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Write `found` literals and their runs from `out[at]` on; returns where it stopped, with the open byte.

    `bits` are the `held` (0 … 7) bits of the byte that is not full yet.
    """
    positions, literals = desk.positions, desk.literals
    token, end, where = np.uint64(0), np.uint64(found), np.uint64(at)
    position = np.uint64(positions[token])
    while token < end:
        # Two at a time: 2 x 27 + 7 bits fill one store, and the second is looked up beside the first.
        middle = np.uint64(positions[token + _ONE])
        literal, run = np.uint64(_LITERALS[literals[token]]), np.uint64(_RUNS[middle - position])
        first = literal >> _CODE | run >> _CODE << (literal & _BITS)
        used = literal + run
        position = middle
        token += _ONE
        if token < end:
            position = np.uint64(positions[token + _ONE])
            literal, run = (
                np.uint64(_LITERALS[literals[token]]),
                np.uint64(_RUNS[position - middle]),
            )
            first |= (literal >> _CODE | run >> _CODE << (literal & _BITS)) << (used & _BITS)
            used += literal + run
            token += _ONE
        bits |= first << held
        held = (held + used) & _BITS
        store_8(out, where, bits)
        where += held >> np.uint64(3)
        bits >>= held & np.uint64(56)
        held &= np.uint64(7)
    return where, bits, held
