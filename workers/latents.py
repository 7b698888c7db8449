"""Latents as a pure function of (seed, index). Version 1 of the determinism contract: never change a line's result."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from service.contract.shard import BLOCK

Latents = npt.NDArray[np.float32]


def draw_block(seed: int, block: int, dim: int) -> Latents:
    """The 1024 latents of one block: float32 [1024, dim], standard normal.

    Philox (Salmon et al. 2011) is keyed by the seed and counts from word 0 up, so setting word 1 to the block
    number puts blocks 2**64 steps apart: they cannot overlap.
    """
    # Set by its state, for a Philox that is given a key asks the system for entropy all the same.
    philox = np.random.Philox(0)
    philox.state = {
        "bit_generator": "Philox",
        "state": {
            "key": np.array([seed, 0], np.uint64),
            "counter": np.array([0, block, 0, 0], np.uint64),
        },
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return np.random.Generator(philox).standard_normal((BLOCK, dim), dtype=np.float32)


def draw_latents(
    seed: int,
    start: int,
    stop: int,
    dim: int,
    *,
    temperature_milli: int = 1000,
    draw: Callable[[int, int, int], Latents] = draw_block,
) -> Latents:
    """Latents of samples `start` … `stop` - 1: float32 [stop - start, dim], scaled by the temperature.

    The scaling is one float32 multiplication, so that it rounds alike everywhere. `draw` is `draw_block`, or what
    does the same faster.
    """
    first, last = start // BLOCK, (stop - 1) // BLOCK
    blocks = [draw(seed, block, dim) for block in range(first, last + 1)]
    latents = np.concatenate(blocks)[start - first * BLOCK : stop - first * BLOCK]
    if temperature_milli != 1000:
        latents *= np.float32(temperature_milli / 1000)
    return latents
