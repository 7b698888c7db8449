"""Both checksums of a shard, in the one pass that makes it: the root over its images, and of the object's bytes."""

import hashlib
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.contract.merkle import LEAF, NODE, leaf_hash, root_of
from workers.body import Body
from workers.decoder import Images
from workers.kernel.hashes import new_pads, put_hashes
from workers.kernel.sha256 import BLOCK, has_sha256, new_state, one_stream, words

Bytes = npt.NDArray[np.uint8]

_NOTHING: Bytes = np.empty(0, np.uint8)


class Checksums:
    """Follows an archive of so many images as it grows, while what is to be hashed is still in the cache."""

    def __init__(self, body: Body, *, samples: int, image_bytes: int) -> None:
        self._body, self._hashed = body, 0
        self._pair: _Pair = _Interleaved(samples, image_bytes) if has_sha256() else _OneByOne()

    def update(self, images: Images) -> None:
        """Take in the next images and what the body gained by them."""
        self._pair.update(images, self._gained())

    def finish(self) -> tuple[str, str]:
        """`(images_root, sha256)`, once the archive is finished."""
        return self._pair.finish(self._gained())

    def _gained(self) -> Bytes:
        gained = np.frombuffer(self._body.view(self._hashed), np.uint8)
        self._hashed = self._body.size
        return gained


class _Pair(Protocol):
    def update(self, images: Images, gained: Bytes) -> None: ...
    def finish(self, gained: Bytes) -> tuple[str, str]: ...


class _OneByOne:
    """For processors without x86's SHA instructions."""

    def __init__(self) -> None:
        self._leaves, self._archive = list[bytes](), hashlib.sha256()

    def update(self, images: Images, gained: Bytes) -> None:
        self._leaves += [leaf_hash(image.data) for image in np.ascontiguousarray(images)]
        self._archive.update(gained.data)

    def finish(self, gained: Bytes) -> tuple[str, str]:
        self._archive.update(gained.data)
        return root_of(self._leaves).hex(), self._archive.hexdigest()


class _Interleaved:
    """Whole blocks of images and archive go through the processor side by side."""

    def __init__(self, samples: int, image_bytes: int) -> None:
        self._leaves = np.empty((samples, 32), np.uint8)
        self._pads, self._image_bytes = new_pads(image_bytes, LEAF[0]), image_bytes
        self._added, self._archive = 0, _Stream()

    def update(self, images: Images, gained: Bytes) -> None:
        stop = self._added + len(images)
        rows = images.reshape(len(images), self._image_bytes)
        place = self._leaves[self._added : stop]
        taken = self._archive.blocks_of(gained)
        put_hashes(rows, self._pads, place, self._archive.state, gained, *taken)
        self._added = stop

    def finish(self, gained: Bytes) -> tuple[str, str]:
        one_stream(self._archive.state, gained, *self._archive.blocks_of(gained))
        return self._root().hex(), self._archive.hexdigest()

    def _root(self) -> bytes:
        level, pads, unused = self._leaves[: self._added], new_pads(64, NODE[0]), new_state()
        while len(level) > 1:
            pairs = len(level) // 2
            above = np.empty((-(-len(level) // 2), 32), np.uint8)
            rows = level[: 2 * pairs].reshape(pairs, 64)
            put_hashes(rows, pads, above[:pairs], unused, _NOTHING, 0, 0)
            # An odd last one moves up as it is.
            above[pairs:] = level[2 * pairs :]
            level = above
        return level.tobytes()


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
