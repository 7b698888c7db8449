"""Both checksums of a shard are those of the contract, whatever the pieces in which the shard came about."""

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.contract.merkle import leaf_hash, root_of
from workers import checksums
from workers.body import Body
from workers.checksums import Checksums
from workers.kernel.sha256 import has_sha256

#: By the processor's instructions where it has them, and by the standard library.
WAYS = [False] + [True] * has_sha256()

#: (images, what the body gained by them): some of either empty.
Pieces = list[tuple[int, bytes]]
pieces = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.binary(max_size=300), st.integers(0, 9).map(lambda n: bytes(700 * n))),
    ),
    max_size=6,
)


def images_of(
    count: int, size: int, *, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, size, 1), np.uint8)


def both_of(pieces: Pieces, rest: bytes, *, size: int, by_instructions: bool) -> tuple[str, str]:
    """`rest` is what the archive's end adds to the body."""
    body = Body()
    body.begin(2**23)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "has_sha256", lambda: by_instructions)
        both = Checksums(body, samples=sum(count for count, _ in pieces), image_bytes=size)
    for number, (count, gained) in enumerate(pieces):
        body.append(gained)
        both.update(images_of(count, size, seed=number))
    body.append(rest)
    return both.finish()


def expected(pieces: Pieces, rest: bytes, *, size: int) -> tuple[str, str]:
    leaves = [
        leaf_hash(image.tobytes())
        for number, (count, _) in enumerate(pieces)
        for image in images_of(count, size, seed=number)
    ]
    data = b"".join(gained for _, gained in pieces) + rest
    return root_of(leaves).hex(), hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("by_instructions", WAYS)
@pytest.mark.parametrize("size", [1, 54, 55, 63, 64, 784])
@example([(1, bytes(56)), (0, b"")], b"")
@example([(1, bytes(63)), (2, bytes(1)), (5, bytes(128)), (4, bytes(5000))], bytes(63))
@given(pieces, st.binary(max_size=200))
def test_any_pieces(by_instructions: bool, size: int, pieces: Pieces, rest: bytes) -> None:
    """Empty ones, parts of blocks and several at once, whatever an image is padded to; neither waits for the other."""
    pieces = [*pieces, (1, b"last")]
    told = both_of(pieces, rest, size=size, by_instructions=by_instructions)
    assert told == expected(pieces, rest, size=size)


@pytest.mark.parametrize("by_instructions", WAYS)
@pytest.mark.parametrize("size", [784, 3072])
def test_batches_of_many_blocks(by_instructions: bool, size: int) -> None:
    """Batches beside an archive that grows by nothing, by less than its images have, by as much and by more."""
    rng = np.random.default_rng(1)
    grown = [rng.bytes(size * 256 * step // 2) for step in (0, 1, 2, 3)]
    batches = [(256, data) for data in grown] + [(1, b"")]
    told = both_of(batches, b"end", size=size, by_instructions=by_instructions)
    assert told == expected(batches, b"end", size=size)
