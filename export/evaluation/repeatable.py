"""Torch made to give the same figures again, and left as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable(seed: int, threads: int) -> Iterator[None]:
    """Random numbers from `seed` and sums in the order of `threads` threads, inside the block only."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
