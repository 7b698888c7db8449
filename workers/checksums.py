"""Both checksums of a shard, in the one pass that makes it: of its raw pixels, and of the object's bytes."""

import hashlib
from typing import Protocol

import numpy as np
import numpy.typing as npt

from workers.body import Body
from workers.decoder import Images
from workers.kernel.sha256 import BLOCK, has_sha256, new_state, one_stream, two_streams, words

Bytes = npt.NDArray[np.uint8]


class Checksums:
    """Follows an archive as it grows, while what is to be hashed is still in the cache."""

    def __init__(self, body: Body) -> None:
        self._body, self._hashed = body, 0
        self._pair: _Pair = _Interleaved() if has_sha256() else _OneByOne()

    def update(self, images: Images) -> None:
        """Take in the next images and what the body gained by them."""
        self._pair.update(images.reshape(-1), self._gained())

    def finish(self) -> tuple[str, str]:
        """`(pixels_sha256, sha256)`, once the archive is finished."""
        self._pair.update(np.empty(0, np.uint8), self._gained())
        return self._pair.finish()

    def _gained(self) -> Bytes:
        gained = np.frombuffer(self._body.view(self._hashed), np.uint8)
        self._hashed = self._body.size
        return gained


class _Pair(Protocol):
    def update(self, first: Bytes, second: Bytes) -> None: ...
    def finish(self) -> tuple[str, str]: ...


class _OneByOne:
    """For processors without x86's SHA instructions."""

    def __init__(self) -> None:
        self._first, self._second = hashlib.sha256(), hashlib.sha256()

    def update(self, first: Bytes, second: Bytes) -> None:
        self._first.update(first.data)
        self._second.update(second.data)

    def finish(self) -> tuple[str, str]:
        return self._first.hexdigest(), self._second.hexdigest()


class _Interleaved:
    """Two streams whose whole blocks go through the processor side by side."""

    def __init__(self) -> None:
        self._first, self._second = _Stream(), _Stream()

    def update(self, first: Bytes, second: Bytes) -> None:
        one, two = self._first.blocks_of(first), self._second.blocks_of(second)
        two_streams(self._first.state, first, *one, self._second.state, second, *two)

    def finish(self) -> tuple[str, str]:
        return self._first.hexdigest(), self._second.hexdigest()


class _Stream:
    """One SHA-256 (FIPS 180-4): its state after whole blocks, and the bytes of the block that is not full yet."""

    def __init__(self) -> None:
        self.state = new_state()
        self._open, self._size = b"", 0

    def blocks_of(self, data: Bytes) -> tuple[int, int]:
        """(first byte, number) of the whole blocks in `data`, for the caller to take in; the rest is taken in here."""
        start = min(-len(self._open) % BLOCK, len(data))
        self._open += data[:start].tobytes()
        self._size += len(data)
        if len(self._open) < BLOCK and start == len(data):
            return start, 0
        if self._open:
            one_stream(self.state, np.frombuffer(self._open, np.uint8), 0, 1)
        count = (len(data) - start) // BLOCK
        self._open = data[start + count * BLOCK :].tobytes()
        return start, count

    def hexdigest(self) -> str:
        """Of all that was taken in; ends the stream (5.1.1)."""
        padding = b"\x80" + bytes(-(len(self._open) + 9) % BLOCK)
        last = self._open + padding + (8 * self._size).to_bytes(8, "big")
        one_stream(self.state, np.frombuffer(last, np.uint8), 0, len(last) // BLOCK)
        return b"".join(word.to_bytes(4, "big") for word in words(self.state)).hex()
