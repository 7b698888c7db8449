"""A data set as a stream of batches, shared between a loader's workers and between ranks. Needs torch."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from latentmill.shuffle import Shuffle
from torch.utils.data import IterableDataset, default_collate, get_worker_info


class Source(Protocol):
    """What is streamed: a map-style data set that gives many samples at once."""

    transform: Any

    def __len__(self) -> int: ...

    def __getitems__(self, places: Any) -> list[tuple[Any, int]]: ...

    def arrays(self, places: Any) -> tuple[Any, Any]: ...


class Batches(IterableDataset[Any]):
    """Batch `k` holds places `k * batch_size` and on, shuffled or not; ranks and then workers take batches in turn.

    A loader asks its workers in turn too, so a rank's batches come in one order whatever their number.
    """

    def __init__(
        self,
        dataset: Source,
        *,
        batch_size: int,
        shuffle_seed: int | None,
        rank: int,
        world_size: int,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError("batch_size is 1 or more, rank from 0 to below world_size")
        self._dataset, self._batch_size = dataset, batch_size
        self._rank, self._world_size = rank, world_size
        self.shuffle_seed = shuffle_seed

    def __len__(self) -> int:
        """Batches of this rank."""
        return len(range(self._rank, self._batches, self._world_size))

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in range(
            self._rank + number * self._world_size, self._batches, workers * self._world_size
        ):
            start = batch * self._batch_size
            places = np.arange(
                start, min(start + self._batch_size, len(self._dataset)), dtype=np.int64
            )
            if self.shuffle_seed is not None:
                places = Shuffle(len(self._dataset), seed=self.shuffle_seed)(places)
            yield self._collated(places)

    @property
    def _batches(self) -> int:
        return -(-len(self._dataset) // self._batch_size)

    def _collated(self, places: Any) -> Any:
        """(images, labels) as tensors: without a transform uint8 [n, H, W, C] and int64 [n]."""
        if self._dataset.transform is not None:
            return default_collate(self._dataset.__getitems__(places))
        return tuple(map(torch.from_numpy, self._dataset.arrays(places)))
