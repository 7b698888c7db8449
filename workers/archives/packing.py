"""How a long array is packed while it streams by: runs in the kernel, a compressor, or not at all."""

import zlib
from typing import Any, Protocol

import numpy as np
from isal import isal_zlib
from zlib_ng import zlib_ng

from service.contract.recipe import Compression
from workers.archives.container import DEFLATED, STORED
from workers.body import Body
from workers.kernel.deflate import new_desk
from workers.kernel.stream import CHUNK, put_end_of_stream, put_runs
from workers.kernel.vector import SLACK
from workers.png import FAST_LEVEL, ISAL, KERNEL, SMALL_LEVEL, ZLIB_NG

#: Bytes that a compressor is given at once.
_PIECE = 2**16


class Packing(Protocol):
    """Packs one stream; `method` is ZIP's word for it, `version` what can change its bytes."""

    method: int
    version: str

    def most(self, size: int) -> int:
        """Bytes that `size` bytes never exceed when packed."""

    def pack(self, data: bytes | memoryview, body: Body) -> int:
        """Append what of `data` is ready; returns how many bytes that is."""

    def finish(self, body: Body) -> int:
        """Append the rest."""


def packing(compression: Compression, channels: int) -> Packing:
    """Runs are all that a fast search would find in grey images; RGB has none."""
    if compression == Compression.NONE:
        return _Stored()
    if compression == Compression.SMALL:
        return _Compressed(zlib_ng.compressobj(SMALL_LEVEL, zlib.DEFLATED, -15), ZLIB_NG)
    if channels == 1:
        return _Runs()
    return _Compressed(isal_zlib.compressobj(FAST_LEVEL, zlib.DEFLATED, -15), ISAL)


class _Stored:
    method, version = STORED, KERNEL

    def most(self, size: int) -> int:
        return size

    def pack(self, data: bytes | memoryview, body: Body) -> int:
        return body.append(data)

    def finish(self, body: Body) -> int:  # noqa: ARG002 - nothing is held back
        return 0


class _Compressed:
    method = DEFLATED

    def __init__(self, stream: Any, version: str) -> None:
        self._stream, self.version = stream, version
        self._waiting = bytearray()

    def most(self, size: int) -> int:
        return size + size // 1000 + 4096

    def pack(self, data: bytes | memoryview, body: Body) -> int:
        # In pieces of one size: what a compressor writes depends on how it is fed.
        self._waiting += data
        ready = len(self._waiting) - len(self._waiting) % _PIECE
        packed = 0
        for start in range(0, ready, _PIECE):
            packed += body.append(self._stream.compress(self._waiting[start : start + _PIECE]))
        del self._waiting[:ready]
        return packed

    def finish(self, body: Body) -> int:
        packed = body.append(self._stream.compress(self._waiting))
        return packed + body.append(self._stream.flush())


class _Runs:
    method, version = DEFLATED, KERNEL

    def __init__(self) -> None:
        self._state, self._desk = np.array([3, 3, 0], np.uint64), new_desk(CHUNK)
        self._staged = np.zeros(CHUNK + 2 * SLACK, np.uint8)

    def most(self, size: int) -> int:
        return size + size // 8 + 64

    def pack(self, data: bytes | memoryview, body: Body) -> int:
        source = np.frombuffer(data, np.uint8)
        size: int = put_runs(source, self._staged, self._desk, self._state, body.room())
        body.grow(size)
        return size

    def finish(self, body: Body) -> int:
        size: int = put_end_of_stream(self._staged, self._desk, self._state, body.room())
        body.grow(size)
        return size
