"""The compiled latents are those of the contract, to the last bit."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.contract.recipe import MAX_SEED
from tests.test_latents import bytes_of, golden_blocks
from workers import latents
from workers.kernel.normals import draw_block


def test_sixty_four_blocks_have_the_bits_of_contract_version_1() -> None:
    """The golden blocks, whose tails call the C library hundreds of times, come out of the kernel too."""
    for seed, block, dim, digest in golden_blocks():
        assert hashlib.sha256(bytes_of(draw_block(seed, block, dim))).hexdigest() == digest


@given(st.integers(0, MAX_SEED), st.integers(0, 2**50), st.integers(1, 40))
def test_any_block_is_numpys(seed: int, block: int, dim: int) -> None:
    """Whatever seed, block and dimension: equal bits."""
    ours, numpys = draw_block(seed, block, dim), latents.draw_block(seed, block, dim)
    assert np.array_equal(ours.view(np.uint32), numpys.view(np.uint32))


def test_ranges_and_temperature_are_the_same() -> None:
    """`draw_latents` cuts and scales the kernel's blocks as it does NumPy's."""
    given_kernel = latents.draw_latents(5, 1000, 5000, 7, temperature_milli=700, draw=draw_block)
    assert np.array_equal(
        given_kernel, latents.draw_latents(5, 1000, 5000, 7, temperature_milli=700)
    )
