"""Both checksums of a shard are those of hashlib, whatever the pieces in which the shard came about."""

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers import checksums
from workers.body import Body
from workers.checksums import Checksums
from workers.kernel.sha256 import has_sha256

#: By the processor's instructions where it has them, and by the standard library.
WAYS = [False] + [True] * has_sha256()

#: (pixels, what the body gained by them), some empty.
pieces = st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), max_size=6)


def checksums_of(
    pieces: list[tuple[bytes, bytes]], rest: bytes, *, by_instructions: bool
) -> tuple[str, str]:
    """`rest` is what the archive's end adds to the body."""
    body = Body()
    body.begin(2**14)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "has_sha256", lambda: by_instructions)
        both = Checksums(body)
    for pixels, gained in pieces:
        body.append(gained)
        both.update(np.frombuffer(pixels, np.uint8).reshape(-1, 1, 1, 1))
    body.append(rest)
    return both.finish()


def expected(pieces: list[tuple[bytes, bytes]], rest: bytes) -> tuple[str, str]:
    pixels = b"".join(pixels for pixels, _ in pieces)
    data = b"".join(gained for _, gained in pieces) + rest
    return hashlib.sha256(pixels).hexdigest(), hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("by_instructions", WAYS)
@example([(bytes(55), bytes(56)), (b"", b"")], b"")
@example([(bytes(64), bytes(63)), (bytes(1), bytes(1)), (bytes(128), bytes(1))], bytes(63))
@given(pieces, st.binary(max_size=200))
def test_any_pieces(by_instructions: bool, pieces: list[tuple[bytes, bytes]], rest: bytes) -> None:
    """Empty ones, parts of blocks and several at once; the two streams need not keep step."""
    told = checksums_of(pieces, rest, by_instructions=by_instructions)
    assert told == expected(pieces, rest)


@pytest.mark.parametrize("by_instructions", WAYS)
def test_batches_of_many_blocks(by_instructions: bool) -> None:
    """Pixels of thousands of blocks beside an archive that grows by a few, and by none."""
    rng = np.random.default_rng(1)
    batches = [(rng.bytes(28 * 28 * 256), rng.bytes(600 * step)) for step in (0, 1, 2)]
    told = checksums_of(batches, b"end", by_instructions=by_instructions)
    assert told == expected(batches, b"end")
