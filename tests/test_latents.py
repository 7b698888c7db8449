"""Latents are a pure function of (seed, index): golden values, disjoint streams, ranges."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.recipe import MAX_SEED
from service.contract.shard import BLOCK
from workers.latents import draw_block, draw_latents

#: Lines of `seed block dim sha256`: part of the contract. A change here is a new contract version.
GOLDEN = Path(__file__).parent / "fixtures" / "golden_latents.txt"

#: Where NumPy's float32 ziggurat leaves its tables and calls log1p of the C library.
ZIGGURAT_TAIL = 3.6541528853610088

seeds = st.integers(0, MAX_SEED)


def golden_blocks() -> list[tuple[int, int, int, str]]:
    lines = [line.split() for line in GOLDEN.read_text().splitlines()]
    return [(int(seed), int(block), int(dim), digest) for seed, block, dim, digest in lines]


def bytes_of(latents: np.ndarray) -> bytes:
    return latents.astype("<f4").tobytes()


def philox(seed: int, block: int) -> np.random.Philox:
    """The bit generator of one block, spelled out a second time."""
    return np.random.Philox(
        key=np.array([seed, 0], dtype=np.uint64),
        counter=np.array([0, block, 0, 0], dtype=np.uint64),
    )


def test_sixty_four_blocks_have_the_bits_of_contract_version_1() -> None:
    """Whole blocks are what they were when contract version 1 was written, to the last bit."""
    drawn = [(seed, block, dim) for seed, block, dim, _ in golden_blocks()]
    assert len(set(drawn)) == 64
    found = [hashlib.sha256(bytes_of(draw_block(*which))).hexdigest() for which in drawn]
    assert found == [digest for *_, digest in golden_blocks()]


def test_the_golden_blocks_reach_the_tail_that_calls_the_c_library() -> None:
    """The golden values would notice a C library whose log1p rounds otherwise."""
    tails = sum(
        int(np.count_nonzero(np.abs(draw_block(seed, block, dim)) > ZIGGURAT_TAIL))
        for seed, block, dim, _ in golden_blocks()
    )
    assert tails > 100


def test_a_block_is_philox_4x64_10_as_published() -> None:
    """The raw stream of (seed, block) can be made again from the paper: Salmon et al. 2011."""
    for seed, block in ((0, 0), (42, 97_656), (MAX_SEED, 2**31)):
        raw = philox(seed, block).random_raw(12).tolist()
        # NumPy moves the counter before it draws.
        assert raw == [
            word for step in (1, 2, 3) for word in philox_4x64_10((step, block, 0, 0), (seed, 0))
        ]


def philox_4x64_10(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> tuple[int, int, int, int]:
    word = 2**64
    for _ in range(10):
        low, high = counter[0] * 0xD2E7470EE14C6C93, counter[2] * 0xCA5A826395121157
        counter = (
            high // word ^ counter[1] ^ key[0],
            high % word,
            low // word ^ counter[3] ^ key[1],
            low % word,
        )
        key = ((key[0] + 0x9E3779B97F4A7C15) % word, (key[1] + 0xBB67AE8584CAA73B) % word)
    return counter


@given(seed=seeds, block=st.integers(0, 2**53))
def test_blocks_cannot_overlap(seed: int, block: int) -> None:
    """A block moves only word 0 of its counter, far less than the 2**64 steps to the next."""
    generator = philox(seed, block)
    np.random.Generator(generator).standard_normal((BLOCK, 512), dtype=np.float32)
    moved, *rest = (int(word) for word in generator.state["state"]["counter"])
    assert rest == [block, 0, 0]
    assert moved < BLOCK * 512  # 8 values a step; rejections cost about 1 % more
    assert math.log2(moved) + 3 < 64  # eight times the width, the largest a card allows, still fits


def test_draw_block_starts_from_its_own_counter() -> None:
    """draw_block draws from the bit generator whose counter the tests above look at."""
    expected = np.random.Generator(philox(42, 7)).standard_normal((BLOCK, 20), dtype=np.float32)
    assert bytes_of(draw_block(42, 7, 20)) == bytes_of(expected)


@given(
    seed=seeds,
    start=st.integers(0, 5000),
    length=st.integers(1, 3000),
    dim=st.sampled_from([1, 2, 20]),
)
def test_a_range_is_the_slice_of_the_whole(seed: int, start: int, length: int, dim: int) -> None:
    """Any [start, stop) is that slice of a longer draw: neither shard nor batch changes it."""
    whole = draw_latents(seed, 0, 8 * BLOCK, dim)
    part = draw_latents(seed, start, start + length, dim)
    assert part.shape == (length, dim)
    assert bytes_of(part) == bytes_of(whole[start : start + length])


@given(index=st.integers(0, 2**40))
def test_sample_i_is_row_i_mod_1024_of_block_i_div_1024(index: int) -> None:
    """One sample drawn alone is its row of its block, far behind 2**32 too."""
    alone = draw_latents(42, index, index + 1, 20)
    assert bytes_of(alone[0]) == bytes_of(draw_block(42, index // BLOCK, 20)[index % BLOCK])


@given(milli=st.integers(1, 2000))
def test_temperature_is_one_float32_multiplication(milli: int) -> None:
    """Scaled latents are float32(temperature) times the plain ones, each rounded once."""
    plain = draw_latents(7, 1000, 1100, 20)
    scaled = draw_latents(7, 1000, 1100, 20, temperature_milli=milli)
    factor = float(np.float32(milli / 1000))
    # The float64 product of two float32 numbers is exact, so this rounds once.
    assert bytes_of(scaled) == bytes_of((plain.astype(np.float64) * factor).astype(np.float32))


@pytest.mark.parametrize("seed", [2**53, 2**62, MAX_SEED - 1])
def test_neighbouring_large_seeds_do_not_collide(seed: int) -> None:
    """Seeds reach NumPy as integers: through float64, neighbours above 2**53 would be one seed."""
    assert float(seed) == float(seed + 1)
    assert bytes_of(draw_block(seed, 0, 20)) != bytes_of(draw_block(seed + 1, 0, 20))


def test_latents_are_standard_normal() -> None:
    """A million values: mean 0, variance 1, neighbours uncorrelated, within 5 standard errors."""
    latents = draw_latents(42, 0, 50 * BLOCK, 20).astype(np.float64).ravel()
    error = 1 / math.sqrt(len(latents))
    assert abs(latents.mean()) < 5 * error
    assert abs(latents.var() - 1) < 5 * error * math.sqrt(2)
    assert abs(np.mean(latents[1:] * latents[:-1])) < 5 * error
