"""SHA-256 by the processor's own instructions is the standard library's, for one stream and for two at once."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.kernel.sha256 import (
    BLOCK,
    Bytes,
    State,
    has_sha256,
    new_state,
    one_stream,
    two_streams,
    words,
)

pytestmark = pytest.mark.skipif(not has_sha256(), reason="this processor has no SHA instructions")

#: Whole blocks behind a start that need not be one's.
streams = st.tuples(st.integers(0, 70), st.integers(0, 5), st.integers(0, 2**32 - 1))


def noise(start: int, blocks: int, seed: int) -> Bytes:
    size = start + blocks * BLOCK
    return np.random.default_rng(seed).integers(0, 256, max(1, size), np.uint8)


def digest(state: State, size: int) -> str:
    """After the block that ends a stream of so many bytes (FIPS 180-4, 5.1.1)."""
    last = b"\x80" + bytes(BLOCK - 9) + (8 * size).to_bytes(8, "big")
    one_stream(state, np.frombuffer(last, np.uint8), 0, 1)
    return b"".join(word.to_bytes(4, "big") for word in words(state)).hex()


def expected(data: Bytes, start: int, blocks: int) -> str:
    return hashlib.sha256(data[start : start + blocks * BLOCK]).hexdigest()


def test_the_state_before_the_first_block() -> None:
    """As the standard lists it (FIPS 180-4, 5.3.3); here it is computed from the primes."""
    assert words(new_state())[:2] == [0x6A09E667, 0xBB67AE85]
    assert words(new_state())[-1] == 0x5BE0CD19


@given(streams)
def test_one_stream(stream: tuple[int, int, int]) -> None:
    """From any byte on, aligned or not, none of what lies before or behind is taken in."""
    start, blocks, seed = stream
    data, state = noise(*stream), new_state()
    one_stream(state, data, start, blocks)
    assert digest(state, blocks * BLOCK) == expected(data, start, blocks), seed


@given(streams, streams)
def test_two_streams_do_not_mix(first: tuple[int, int, int], second: tuple[int, int, int]) -> None:
    """Side by side as far as both go; the longer one goes on alone."""
    one, two, states = noise(*first), noise(*second), (new_state(), new_state())
    two_streams(states[0], one, *first[:2], states[1], two, *second[:2])
    assert digest(states[0], first[1] * BLOCK) == expected(one, *first[:2])
    assert digest(states[1], second[1] * BLOCK) == expected(two, *second[:2])
