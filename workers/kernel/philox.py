"""Philox4x64-10, a generator that counts (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
#: What each round adds to the key: the golden ratio, and the square root of 3 less 1.
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)


@intrinsic
def _high_half(_: Any, one: Any, other: Any) -> Any:
    """The upper 64 of the 128 bits of a product."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in args))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@njit(nogil=True, cache=True, inline="always")
def put_words(
    seed: np.uint64, block: np.uint64, first: np.uint64, out: npt.NDArray[np.uint64]
) -> None:
    """Fill `out`, a multiple of four words, with what follows number `4 * first` of the block's stream.

    As NumPy's `Philox(key=[seed, 0], counter=[0, block, 0, 0])` counts: once before the first four words.
    """
    for four in range(out.size // 4):
        a, b, c, d = first + np.uint64(four + 1), block, np.uint64(0), np.uint64(0)
        key, other_key = seed, np.uint64(0)
        for _ in range(_ROUNDS):
            high, low = _high_half(_MULTIPLIERS[0], a), _MULTIPLIERS[0] * a
            other_high, other_low = _high_half(_MULTIPLIERS[1], c), _MULTIPLIERS[1] * c
            a, b, c, d = other_high ^ b ^ key, other_low, high ^ d ^ other_key, low
            key += _WEYL[0]
            other_key += _WEYL[1]
        out[4 * four], out[4 * four + 1] = a, b
        out[4 * four + 2], out[4 * four + 3] = c, d
