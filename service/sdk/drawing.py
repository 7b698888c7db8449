"""Draws any samples where they are used: the pixels that archives of such a request hold, and nothing is stored."""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from service.contract.shard import BLOCK
from workers.decoder import Decoder, Images
from workers.latents import Latents, draw_latents

Indexes = npt.NDArray[np.int64]

#: Blocks of latents kept: neighbours share one, and so do the labels of one seed.
_MOST_BLOCKS = 256


class Drawing:
    """One seed and temperature of one decoder."""

    def __init__(self, decoder: Decoder, *, seed: int, temperature_milli: int) -> None:
        self._decoder, self._seed, self._temperature_milli = decoder, seed, temperature_milli
        self._blocks: OrderedDict[int, Latents] = OrderedDict()
        self._kept: dict[tuple[int, int], Images] = {}

    def draw_and_keep(self, indexes: Indexes, label_ids: Indexes) -> Images:
        """The same, a whole batch at a time, all of which stay in memory: for what will be asked for again."""
        size = self._decoder.card.batch_size
        wanted, place = np.unique(
            np.stack([label_ids, indexes // size]), axis=1, return_inverse=True
        )
        batches = [self._batch(int(label_id), int(number)) for label_id, number in wanted.T]
        return np.array([batches[at][row] for at, row in zip(place, indexes % size, strict=True)])

    def _batch(self, label_id: int, number: int) -> Images:
        batch = self._kept.get((label_id, number))
        if batch is None:
            size = self._decoder.card.batch_size
            indexes = np.arange(number * size, (number + 1) * size)
            batch = self._kept[label_id, number] = self.draw(indexes, np.full(size, label_id))
        return batch

    def draw(self, indexes: Indexes, label_ids: Indexes) -> Images:
        """The samples of these indexes and labels, int64 [n] each, in any order: uint8 [n, H, W, C].

        A sample sits in the row where every shard has it, because the contract says so: of those that want one row,
        each takes a forward pass of its own, and a pass holds as many samples as have different rows.
        """
        card = self._decoder.card
        rows = indexes % card.batch_size
        passes = _rank_among_equals(rows)
        shape = (card.image.height, card.image.width, card.image.channels)
        images = np.empty((len(indexes), *shape), np.uint8)
        for number in range(int(passes.max(initial=-1)) + 1):
            chosen = np.flatnonzero(passes == number)
            latents = np.zeros((card.batch_size, card.latent_dim), np.float32)
            ids = np.zeros(card.batch_size, np.int64)
            latents[rows[chosen]] = self._latents(indexes[chosen])
            ids[rows[chosen]] = label_ids[chosen]
            images[chosen] = self._decoder.draw(latents, ids)[rows[chosen]]
        return images

    def _latents(self, indexes: Indexes) -> Latents:
        """float32 [n, latent_dim]"""
        found = np.empty((len(indexes), self._decoder.card.latent_dim), np.float32)
        numbers = indexes // BLOCK
        for number in np.unique(numbers):
            here = numbers == number
            found[here] = self._block(int(number))[indexes[here] % BLOCK]
        return found

    def _block(self, number: int) -> Latents:
        block = self._blocks.pop(number, None)
        if block is None:
            block = draw_latents(
                *(self._seed, number * BLOCK, (number + 1) * BLOCK),
                self._decoder.card.latent_dim,
                temperature_milli=self._temperature_milli,
            )
        self._blocks[number] = block
        if len(self._blocks) > _MOST_BLOCKS:
            self._blocks.popitem(last=False)
        return block


def _rank_among_equals(values: Indexes) -> Indexes:
    """How many equal values stand before each: int64 [n]."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(values) else order
    ranks = np.empty(len(values), np.int64)
    counts = np.diff(np.r_[starts, len(values)])
    ranks[order] = np.arange(len(values)) - np.repeat(starts, counts)
    return ranks
