"""PNG files for a whole batch in one call, outside the GIL (RFC 2083; zlib streams RFC 1950).

Every line has filter type 0: digits are flat, and a prediction would turn their runs into noise.
"""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workers.kernel.crc32 import ALL_ONES, POLYNOMIAL, advance
from workers.kernel.deflate import MAX_BYTES, Desk, deflate, find_literals
from workers.kernel.vector import SLACK, copy_64, load_8, store_8

Bytes = npt.NDArray[np.uint8]

#: Bytes of a file around its compressed lines: signature and IHDR, then IDAT's length, type, zlib header,
#: Adler-32 and CRC, then IEND.
_BEFORE, _LENGTH_AND_TYPE, _ZLIB_HEADER, _CHECKSUM, _END = 33, 8, 2, 4, 12
_AROUND = _BEFORE + _LENGTH_AND_TYPE + _ZLIB_HEADER + 2 * _CHECKSUM + _END
#: A stored block: its type, its length and the length inverted (RFC 1951, 3.2.4).
_STORED_HEADER = 5
_ADLER = np.uint32(65521)
#: So many bytes of 255 may be summed before a uint32 overflows (zlib's NMAX).
_ADLER_BYTES = 5552


class Frame(NamedTuple):
    """What all images of one shape share: `header` is everything before IDAT, `turns` see `_turns`."""

    header: Bytes
    height: int
    row_bytes: int
    turns: npt.NDArray[np.uint32]


class Files(NamedTuple):
    """Files in a row: number i is `data[ends[i] + gap:ends[i + 1]]` and has the CRC-32 `crcs[i]`.

    The gap before each is the same for all, and whoever asked for it.
    """

    data: Bytes
    ends: npt.NDArray[np.int64]
    crcs: npt.NDArray[np.uint32]


def fits(height: int, width: int, channels: int) -> bool:
    """Whether images of this shape are the kernel's: grey, and their lines within one call of `deflate`."""
    return channels == 1 and height * (width + 1) <= MAX_BYTES


def new_frame(height: int, width: int) -> Frame:
    """For grey images of one shape that `fits`."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    )
    header = np.frombuffer(start + bytes(SLACK), np.uint8).copy()
    return Frame(header, height, width, _turns(header, 1 + _largest_stream(height, width)))


def new_files(count: int, frame: Frame) -> Files:
    """Room for `count` files of this frame, whatever their pixels are."""
    size = count * largest_file(frame) + SLACK
    return Files(
        np.empty(size, np.uint8), np.zeros(count + 1, np.int64), np.empty(count, np.uint32)
    )


def largest_file(frame: Frame) -> int:
    """Bytes that no file of this frame exceeds."""
    return _AROUND + _largest_stream(frame.height, frame.row_bytes)


def _largest_stream(height: int, row_bytes: int) -> int:
    # Nine bits a literal at most; what would become larger than stored is stored, but only afterwards.
    size = height * (row_bytes + 1)
    return size + size // 8 + 16


@njit(nogil=True, cache=True, inline="always")
def _times_x8(state: np.uint32) -> np.uint32:
    """The state after one zero byte: a polynomial times x to the eighth."""
    for _ in range(8):
        state = state >> np.uint32(1) ^ (POLYNOMIAL if state & np.uint32(1) else np.uint32(0))
    return state


@njit(nogil=True, cache=True, inline="always")
def _product(one: np.uint32, other: np.uint32) -> np.uint32:
    """Of two polynomials modulo CRC-32's, reflected: bit 31 is 1, bit 30 is x."""
    product = np.uint32(0)
    for bit in range(31, -1, -1):
        if one >> np.uint32(bit) & np.uint32(1):
            product ^= other
        other = other >> np.uint32(1) ^ (POLYNOMIAL if other & np.uint32(1) else np.uint32(0))
    return product


@njit(nogil=True, cache=True, inline="always")
def _turns(header: Bytes, longest: int) -> npt.NDArray[np.uint32]:
    """Turns a chunk's CRC state into the file's: they differ by what stands before, a function of the length alone.

    CRC is linear: two states that begin with a difference d are, n bytes later, d times x to the 8n apart.
    """
    turns, power = np.empty(longest + 1, np.uint32), np.uint32(1) << np.uint32(31)
    length_bytes = np.empty(4 + SLACK, np.uint8)
    before = advance(ALL_ONES, header, 0, _BEFORE)
    for _ in range(4):  # IDAT's type, which the chunk's CRC covers too.
        power = _times_x8(power)
    for length in range(longest + 1):
        _put_be(length_bytes, 0, np.uint32(length))
        difference = advance(before, length_bytes, 0, 4) ^ ALL_ONES
        turns[length] = _product(power, difference)
        power = _times_x8(power)
    return turns


@njit(nogil=True, cache=True, inline="always")
def _put_be(out: Bytes, at: int, value: np.uint32) -> None:
    """A big-endian number of four bytes."""
    out[at] = value >> np.uint32(24)
    out[at + 1] = value >> np.uint32(16) & np.uint32(0xFF)
    out[at + 2] = value >> np.uint32(8) & np.uint32(0xFF)
    out[at + 3] = value & np.uint32(0xFF)


@njit(nogil=True, cache=True, inline="always")
def _lay_lines(pixels: Bytes, start: int, frame: Frame, lines: Bytes) -> None:
    """Lines with their filter byte 0, from `lines[SLACK]` on. May write SLACK bytes behind them."""
    width, to = frame.row_bytes, SLACK
    for row in range(frame.height):
        source = start + row * width
        lines[to] = 0
        if source + width + 64 <= pixels.size:
            for step in range(0, width, 64):
                copy_64(lines, np.uint64(to + 1 + step), pixels, np.uint64(source + step))
        else:
            for column in range(width):
                lines[to + 1 + column] = pixels[source + column]
        to += width + 1


@njit(nogil=True, cache=True, inline="always")
def _adler32(data: Bytes, start: int, size: int) -> np.uint32:
    """Of `data[start:start + size]` (RFC 1950)."""
    low, high = np.uint32(1), np.uint32(0)
    while size > 0:
        step = min(size, _ADLER_BYTES)
        total, weighted = np.uint32(0), np.uint32(0)
        for index in range(step):
            byte = np.uint32(data[start + index])
            total += byte
            weighted += np.uint32(step - index) * byte
        high = (high + np.uint32(step) * low + weighted) % _ADLER
        low = (low + total) % _ADLER
        start += step
        size -= step
    return high << np.uint32(16) | low


@njit(nogil=True, cache=True, inline="always")
def _put_runs(lines: Bytes, size: int, desk: Desk, out: Bytes, at: int) -> np.int64:
    """One block in the fixed code; where it ends."""
    found = find_literals(lines, SLACK, size, desk)
    # Three bits: last block, fixed code. The end of block is seven zeros.
    where, bits, held = deflate(desk, found, out, at, np.uint64(3), np.uint64(3))
    store_8(out, np.uint64(where), bits)
    return np.int64(where) + np.int64((held + np.uint64(14)) >> np.uint64(3))


@njit(nogil=True, cache=True, inline="always")
def _put_stored(lines: Bytes, size: int, out: Bytes, at: int) -> int:
    """One block as it is; where it ends."""
    out[at] = 1
    out[at + 1], out[at + 2] = size & 0xFF, size >> 8
    out[at + 3], out[at + 4] = ~size & 0xFF, ~size >> 8 & 0xFF
    at += _STORED_HEADER
    for step in range(0, size, 64):
        copy_64(out, np.uint64(at + step), lines, np.uint64(SLACK + step))
    return at + size


@njit(nogil=True, cache=True, inline="always")
def _put_file(
    lines: Bytes, frame: Frame, desk: Desk, stored: bool, out: Bytes, at: int
) -> tuple[int, np.uint32]:
    """One PNG file from `out[at]` on: where it ends, and its CRC-32."""
    for step in range(0, _BEFORE, 8):
        store_8(out, np.uint64(at + step), load_8(frame.header, np.uint64(step)))
    chunk = at + _BEFORE
    data, size = chunk + _LENGTH_AND_TYPE, frame.height * (frame.row_bytes + 1)
    out[chunk + 4], out[chunk + 5], out[chunk + 6], out[chunk + 7] = 73, 68, 65, 84  # IDAT
    out[data], out[data + 1] = 0x78, 0x01
    end = data + _ZLIB_HEADER
    if not stored:
        end = _put_runs(lines, size, desk, out, end)
    if stored or end - data - _ZLIB_HEADER > size + _STORED_HEADER:
        end = _put_stored(lines, size, out, data + _ZLIB_HEADER)
    _put_be(out, end, _adler32(lines, SLACK, size))
    end += _CHECKSUM
    _put_be(out, chunk, np.uint32(end - data))
    state = advance(ALL_ONES, out, chunk + 4, end)
    _put_be(out, end, state ^ ALL_ONES)
    # IEND: no bytes, its type, its checksum.
    store_8(out, np.uint64(end + 4), np.uint64(0x444E454900000000))
    _put_be(out, end + 12, np.uint32(0xAE426082))
    tail = end + _CHECKSUM + _END
    return tail, advance(state ^ frame.turns[end - data], out, end, tail) ^ ALL_ONES


@njit(nogil=True, cache=True)
def put_files(pixels: Bytes, frame: Frame, desk: Desk, stored: bool, gap: int, files: Files) -> int:
    """A PNG file for each image of `pixels` (uint8 [n * height * row_bytes]), with `gap` bytes before it.

    Returns where the last file ends. What the gaps hold is undefined.
    """
    size, at = frame.height * frame.row_bytes, 0
    lines = np.empty(frame.height * (frame.row_bytes + 1) + 3 * SLACK, np.uint8)
    for number in range(pixels.size // size):
        _lay_lines(pixels, number * size, frame, lines)
        at, files.crcs[number] = _put_file(lines, frame, desk, stored, files.data, at + gap)
        files.ends[number + 1] = at
    return at
