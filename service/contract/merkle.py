"""Hash trees over images (the trees of RFC 6962, 2.1): one hash stands for all, and a few prove that one is among them.

A shard's tree has its images' raw pixels as leaves, in index order. A job's tree has its shards' roots in their place.
"""

import hashlib
from collections.abc import Sequence

#: They keep a leaf from being passed off as two hashes.
LEAF, NODE = b"\x00", b"\x01"


def leaf_hash(pixels: bytes | memoryview) -> bytes:
    """Of one image's raw pixels, uint8 [H, W, C] in C order."""
    return hashlib.sha256(LEAF + pixels).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over at least one hash."""
    level = list(hashes)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def _above(level: list[bytes]) -> list[bytes]:
    """An odd last one moves up as it is, which gives the RFC's tree: full to the left."""
    pairs = zip(level[::2], level[1::2], strict=False)
    return [node_hash(*pair) for pair in pairs] + level[len(level) & ~1 :]


def path_of(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from one to the root, the lowest first."""
    level, path = list(hashes), []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        level, index = _above(level), index // 2
    return path


def root_by(path: Sequence[bytes], found: bytes, *, index: int, size: int) -> bytes | None:
    """The root of a tree of `size` hashes with `found` at `index` and `path` beside its way; None if that cannot be."""
    rest = list(path)
    while size > 1:
        if index ^ 1 < size:
            if not rest:
                return None
            pair = (rest.pop(0), found) if index & 1 else (found, rest.pop(0))
            found = node_hash(*pair)
        index, size = index // 2, (size + 1) // 2
    return None if rest else found
