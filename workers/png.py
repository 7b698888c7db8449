"""PNG files for batches of images: grey ones in the compiled kernel, all others by a compressor that looks for matches.

Both write into memory that the next batch uses again, and give the CRC-32 of every file.
"""

import struct
import zlib
from collections.abc import Callable
from importlib.metadata import version
from typing import Protocol

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from zlib_ng import zlib_ng

from service.contract.card import ImageShape
from service.contract.recipe import Compression
from workers.decoder import Images
from workers.kernel import filters, png
from workers.kernel.deflate import new_desk
from workers.kernel.png import Files
from workers.kernel.vector import SLACK

Bytes = npt.NDArray[np.uint8]

#: Depth of the search for `small` (zlib's levels), and for `fast` where runs are not enough (ISA-L's levels).
SMALL_LEVEL, FAST_LEVEL = 9, 1
#: Changes with any byte that the kernels write.
KERNEL = "latentmill-2"
ISAL, ZLIB_NG = f"isal-{version('isal')}", f"zlib-ng-{version('zlib-ng')}"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


class PngEncoder(Protocol):
    """Makes files of images of one shape."""

    version: str
    """What can change the files' bytes while the pixels stay the same."""

    largest: int
    """Bytes that no file exceeds."""

    def encode(self, images: Images, *, out: Bytes | None = None, gap: int = 0) -> Files:
        """One file per image of uint8 [n, H, W, C], in order, with `gap` bytes before each.

        Into `out`, which has room for the largest files and SLACK bytes more; or valid until the next call.
        """


def png_encoder(shape: ImageShape, compression: Compression) -> PngEncoder:
    """The fast kernel where runs are all there is to find, a compressor where matches and filters pay."""
    small = compression == Compression.SMALL
    if png.fits(shape.height, shape.width, shape.channels) and not small:
        return _BatchEncoder(shape, stored=compression == Compression.NONE)
    return _ImageEncoder(shape, compression)


class _BatchEncoder:
    """Grey images: one compiled call for the batch."""

    version = KERNEL

    def __init__(self, shape: ImageShape, *, stored: bool) -> None:
        self._frame, self._stored = png.new_frame(shape.height, shape.width), stored
        self._desk = new_desk(shape.height * (shape.width + 1))
        self._files = png.new_files(0, self._frame)
        self.largest = png.largest_file(self._frame)

    def encode(self, images: Images, *, out: Bytes | None = None, gap: int = 0) -> Files:
        if self._files.crcs.size < len(images):
            self._files = png.new_files(len(images), self._frame)
        files = self._files if out is None else self._files._replace(data=out)
        pixels = images.reshape(-1)
        png.put_files(pixels, self._frame, self._desk, self._stored, gap, files)
        return files


class _ImageEncoder:
    """RGB and large images, and `small`: filtered line by line, compressed image by image."""

    def __init__(self, shape: ImageShape, compression: Compression) -> None:
        colour = _GREY if shape.channels == 1 else _RGB
        self._header = _SIGNATURE + _chunk(
            b"IHDR", struct.pack(">IIBBBBB", shape.width, shape.height, 8, colour, 0, 0, 0)
        )
        self._shape, self._row = shape, shape.width * shape.channels
        self._pack, self.version = _COMPRESSORS[compression]
        self._plain = np.zeros((shape.height, 1 + self._row), np.uint8)
        self._filtered = np.zeros_like(self._plain)
        self._both = compression == Compression.SMALL
        self.largest = _largest(self._plain.nbytes)

    def encode(self, images: Images, *, out: Bytes | None = None, gap: int = 0) -> Files:
        files = [self._file(image) for image in images.reshape(len(images), -1, self._row)]
        ends = np.cumsum([0, *(gap + len(file) for file in files)], dtype=np.int64)
        crcs = np.array([isal_zlib.crc32(file) for file in files], np.uint32)
        # A kernel copies in steps that reach past the last byte.
        data = np.empty(ends[-1] + SLACK, np.uint8) if out is None else out
        for file, end in zip(files, ends[1:], strict=True):
            data[end - len(file) : end] = np.frombuffer(file, np.uint8)
        return Files(data, ends, crcs)

    def _file(self, lines: Images) -> bytes:
        filters.filter_lines(lines, self._shape.channels, self._filtered)
        data = self._pack(self._filtered.data)
        if self._both:
            # Flat drawings lose by any prediction.
            self._plain[:, 1:] = lines
            data = min(data, self._pack(self._plain.data), key=len)
        return self._header + _chunk(b"IDAT", data) + _END


def _fast(lines: memoryview) -> bytes:
    return bytes(isal_zlib.compress(lines, FAST_LEVEL))


def _small(lines: memoryview) -> bytes:
    return bytes(zlib_ng.compress(lines, SMALL_LEVEL))


def _stored(lines: memoryview) -> bytes:
    return zlib.compress(lines, 0)


_COMPRESSORS: dict[Compression, tuple[Callable[[memoryview], bytes], str]] = {
    Compression.FAST: (_fast, f"{KERNEL} {ISAL}"),
    Compression.SMALL: (_small, f"{KERNEL} {ZLIB_NG}"),
    Compression.NONE: (_stored, KERNEL),
}


def _largest(size: int) -> int:
    """Room for a PNG file of `size` bytes of lines that do not compress: five bytes per stored block and more."""
    return size + size // 1000 + 256


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(kind)))
    )


_END = _chunk(b"IEND", b"")
