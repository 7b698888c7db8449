"""The hash tree over a shard's images, built in the one pass that makes them; see `service/contract/merkle.py`."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.contract.merkle import LEAF, NODE, leaf_hash, root_of
from workers.decoder import Images
from workers.kernel.hashes import new_pads, put_hashes
from workers.kernel.sha256 import has_sha256

Hashes = npt.NDArray[np.uint8]


class ImageTree(Protocol):
    """Takes in images in index order."""

    def add(self, images: Images) -> None: ...
    def root(self) -> bytes: ...


def new_tree(samples: int, image_bytes: int) -> ImageTree:
    """A tree for so many images, each of so many bytes."""
    return _Compiled(samples, image_bytes) if has_sha256() else _OneByOne()


class _OneByOne:
    """For processors without x86's SHA instructions."""

    def __init__(self) -> None:
        self._hashes: list[bytes] = []

    def add(self, images: Images) -> None:
        self._hashes += [leaf_hash(np.ascontiguousarray(image).data) for image in images]

    def root(self) -> bytes:
        return root_of(self._hashes)


class _Compiled:
    def __init__(self, samples: int, image_bytes: int) -> None:
        self._hashes = np.empty((samples, 32), np.uint8)
        self._pads, self._added = new_pads(image_bytes, LEAF[0]), 0

    def add(self, images: Images) -> None:
        stop = self._added + len(images)
        rows = images.reshape(len(images), -1)
        put_hashes(rows, self._pads, self._hashes[self._added : stop])
        self._added = stop

    def root(self) -> bytes:
        level, pads = self._hashes[: self._added], new_pads(64, NODE[0])
        while len(level) > 1:
            pairs = len(level) // 2
            above = np.empty((-(-len(level) // 2), 32), np.uint8)
            put_hashes(level[: 2 * pairs].reshape(pairs, 64), pads, above[:pairs])
            # An odd last one moves up as it is.
            above[pairs:] = level[2 * pairs :]
            level = above
        return level.tobytes()
