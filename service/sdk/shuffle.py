"""Shuffles any number of samples without holding them: a permutation that is computed place by place."""

import numpy as np
import numpy.typing as npt

_Words = npt.NDArray[np.uint64]

#: Rounds of the Feistel network; four make a strong pseudorandom permutation (Luby & Rackoff 1988).
_ROUNDS = 4


class Shuffle:
    """A permutation of 0 … `size` - 1 that follows from `seed` alone, on every machine and version."""

    def __init__(self, size: int, *, seed: int) -> None:
        self._size = np.uint64(size)
        # Each half has so many bits: the network permutes the next power of four.
        self._half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = _mixed(np.uint64(seed) + np.arange(_ROUNDS, dtype=np.uint64))

    def __call__(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What stands at these places: int64 [n] -> int64 [n]."""
        found = self._permuted(places.astype(np.uint64))
        # Cycle walking (Black & Rogaway 2002): what falls outside goes round again, four times at the mean at most.
        while (outside := found >= self._size).any():
            found[outside] = self._permuted(found[outside])
        return found.astype(np.int64)

    def _permuted(self, words: _Words) -> _Words:
        left, right = words >> self._half, words & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._mask)
        return (left << self._half) | right


def _mixed(words: _Words) -> _Words:
    """SplitMix64's output function (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))
