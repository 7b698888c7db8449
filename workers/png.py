"""PNG for whole batches: one filter-free scanline layout for all, zlib per image (RFC 2083, RFC 1950)."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from service.contract.card import ImageShape
from service.contract.recipe import Compression
from workers.decoder import Images

#: zlib's levels. Part of the encoder's version: changing one changes bytes.
LEVELS = {Compression.FAST: 1, Compression.SMALL: 9, Compression.NONE: 0}

#: What can change the bytes of an archive while its pixels stay the same; part of the profile.
ENCODER = f"latentmill-1 zlib-{zlib.ZLIB_RUNTIME_VERSION}"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_END = _chunk(b"IEND", b"")


def encode_png(images: Images, shape: ImageShape, compression: Compression) -> Iterator[bytes]:
    """One PNG file per image of uint8 [n, H, W, C], C = 1 (grey) or 3 (RGB), in order."""
    colour = _GREY if shape.channels == 1 else _RGB
    header = _SIGNATURE + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", shape.width, shape.height, 8, colour, 0, 0, 0)
    )
    # Filter type 0 before every line: digits are flat, and prediction would only cost time.
    lines = np.zeros((len(images), shape.height, 1 + shape.width * shape.channels), np.uint8)
    lines[:, :, 1:] = images.reshape(len(images), shape.height, -1)
    level = LEVELS[compression]
    for image in lines:
        yield header + _chunk(b"IDAT", zlib.compress(image.data, level)) + _END
