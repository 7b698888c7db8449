"""Reads the PNG files of our archives (RFC 2083): 8 bits a channel, grey or RGB, not interlaced.

Our own reader: archives hold nothing else, a client should not need an imaging library for it, and
for small images it is faster than one. It knows every filter, so that encoders may change.
"""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from service.contract.errors import ArchiveBroken

Image = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3}
_LONGEST_SIDE = 1024
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


def read_png(data: bytes) -> Image:
    """The pixels, uint8 [H, W, C]. Raises ArchiveBroken for anything else than such a file."""
    try:
        width, height, channels, packed = _parse(data)
        length = height * (1 + width * channels)
        lines = zlib.decompressobj().decompress(packed, length)
    except (struct.error, KeyError, zlib.error) as error:
        raise ArchiveBroken(f"not a PNG file of ours: {error}") from error
    if len(lines) != length:
        raise ArchiveBroken("a PNG file ends too early")
    rows = np.frombuffer(lines, np.uint8).reshape(height, 1 + width * channels)
    return _unfiltered(rows, channels).reshape(height, width, channels)


def _parse(data: bytes) -> tuple[int, int, int, bytes]:
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR":
        raise ArchiveBroken("a file is not a PNG file")
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if depth != 8 or interlaced or not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE):
        raise ArchiveBroken(f"a PNG file of {width}x{height}, {depth} bits is none of ours")
    return width, height, _CHANNELS[colour], _pixel_data(data)


def _pixel_data(data: bytes) -> bytes:
    parts, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if data[place + 4 : place + 8] == b"IDAT":
            parts.append(data[place + 8 : place + 8 + length])
        place += 12 + length
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unfiltered(rows: Image, channels: int) -> Image:
    filters, pixels = rows[:, 0], rows[:, 1:]
    if not filters.any():
        return pixels
    pixels = pixels.copy()
    above = np.zeros_like(pixels[0])
    for kind, line in zip(filters, pixels, strict=True):
        _restore(int(kind), line, above, channels)
        above = line
    return pixels


def _restore(kind: int, line: Image, above: Image, channels: int) -> None:
    """Undo one line's filter in place; uint8 arithmetic wraps, as the RFC wants it."""
    if kind == _SUB:
        by_pixel = line.reshape(-1, channels)
        np.cumsum(by_pixel, axis=0, dtype=np.uint8, out=by_pixel)
    elif kind == _UP:
        line += above
    elif kind in (_AVERAGE, _PAETH):
        _restore_by_neighbours(_average if kind == _AVERAGE else _paeth, line, above, channels)
    elif kind != _NONE:
        raise ArchiveBroken(f"a PNG file has the unknown filter {kind}")


def _restore_by_neighbours(
    predict: Callable[[int, int, int], int], line: Image, above: Image, channels: int
) -> None:
    # Each byte needs the one restored before it, so this cannot be done for a line at once.
    nothing = [0] * channels
    restored, up = nothing + line.tolist(), nothing + above.tolist()
    for place in range(channels, len(restored)):
        before = place - channels
        prediction = predict(restored[before], up[place], up[before])
        restored[place] = (restored[place] + prediction) & 0xFF
    line[:] = restored[channels:]


def _average(left: int, up: int, _: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, corner: int) -> int:
    """Whichever neighbour is nearest to left + up - corner (RFC 2083, 6.6)."""
    estimate = left + up - corner
    return min((left, up, corner), key=lambda neighbour: abs(estimate - neighbour))
