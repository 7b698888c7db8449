"""The latents of `workers.latents`, bit for bit, in a quarter of the time: NumPy's ziggurat over Philox, compiled.

G. Marsaglia and W. W. Tsang, "The ziggurat method for generating random variables" (2000), in the form of
J. A. Doornik (2005): 256 layers of equal area under exp(-x²/2), in float32, on 23 bits of each word.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from service.contract.shard import BLOCK
from workers.kernel.philox import put_words

_LAYERS, _BITS = 256, 2**23
#: Where the lowest layer ends and the tail begins.
_TAIL = 3.6541528853610088

#: Words of 32 bits drawn at once, and so many kept for one number: it takes one, seldom two or three.
_DRAWN, _KEPT = 4096, 64


def _edges() -> list[float]:
    """x of the layers' right edges, outermost last: that of the lowest layer if it were a rectangle."""
    density = math.exp(-_TAIL * _TAIL / 2)
    area = _TAIL * density + math.sqrt(math.pi / 2) * math.erfc(_TAIL / math.sqrt(2))
    edges = [area / density, _TAIL]
    for _ in range(_LAYERS - 2):
        height = area / edges[-1] + math.exp(-edges[-1] * edges[-1] / 2)
        edges.append(math.sqrt(-2 * math.log(height)))
    return [*reversed(edges)]


def _tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """By layer, the lowest first: below which of 2**23 a number lies inside for sure, its unit, and the density."""
    edges = np.array(_edges())
    right, left = np.roll(edges, 1), np.roll(edges, 2)
    left[0], left[1] = _TAIL, 0.0
    heights = np.exp(-right * right / 2)
    heights[0] = 1.0
    inside = np.rint(left / right * _BITS).astype(np.uint32)
    return inside, (right / _BITS).astype(np.float32), heights.astype(np.float32)


_INSIDE, _UNITS, _HEIGHTS = _tables()
_TAIL_32, _SCALE = np.float32(_TAIL), np.float32(1 / _TAIL)
_UNIFORM = np.float32(2**-24)


@njit(nogil=True, cache=True, inline="always")
def _uniform(word: np.uint32) -> np.float32:
    """In [0, 1), from the upper 24 bits."""
    return np.float32(word >> np.uint32(8)) * _UNIFORM


@njit(nogil=True, cache=True, inline="always")
def _tail(words: npt.NDArray[np.uint32], at: np.uint64) -> tuple[np.float32, np.uint64]:
    """A number beyond the tail's begin, and where the next word is (Marsaglia 1964)."""
    while True:
        beyond = -_SCALE * np.float32(math.log1p(-_uniform(words[at])))
        other = -np.float32(math.log1p(-_uniform(words[at + np.uint64(1)])))
        at += np.uint64(2)
        if other + other > beyond * beyond:
            return _TAIL_32 + beyond, at


@njit(nogil=True, cache=True)
def put_normals(seed: np.uint64, block: np.uint64, out: npt.NDArray[np.float32]) -> None:
    """Fill `out` with the first numbers of a block's stream."""
    drawn = np.empty(_DRAWN // 2, np.uint64)
    words = drawn.view(np.uint32)  # The lower half of each comes first.
    put_words(seed, block, np.uint64(0), drawn)
    at, fours, number = np.uint64(0), np.uint64(drawn.size // 4), np.uint64(0)
    while number < np.uint64(out.size):
        if at > np.uint64(_DRAWN - _KEPT):
            # Four of 64 bits are drawn together, so what is left moves by whole eights.
            used = at & ~np.uint64(7)
            left = _DRAWN - int(used)
            words[:left] = words[used:]
            put_words(seed, block, fours, drawn[left // 2 :])
            fours += used >> np.uint64(3)
            at -= used
        word = words[at]
        at += np.uint64(1)
        layer, bits = np.uint64(word & np.uint32(0xFF)), word >> np.uint32(9)
        value = np.float32(bits) * _UNITS[layer]
        if word & np.uint32(0x100):
            value = -value
        if bits >= _INSIDE[layer]:
            if layer == np.uint64(0):
                value, at = _tail(words, at)
                if bits & np.uint32(0x100):
                    value = -value
            else:
                lower, upper = _HEIGHTS[layer], _HEIGHTS[layer - np.uint64(1)]
                height = (upper - lower) * _uniform(words[at]) + lower
                at += np.uint64(1)
                if np.float64(height) >= math.exp(-0.5 * np.float64(value) * np.float64(value)):
                    continue
        out[number] = value
        number += np.uint64(1)


def draw_block(seed: int, block: int, dim: int) -> npt.NDArray[np.float32]:
    """See `workers.latents.draw_block`, which says what the numbers are."""
    latents = np.empty((BLOCK, dim), np.float32)
    put_normals(np.uint64(seed), np.uint64(block), latents.reshape(-1))
    return latents
