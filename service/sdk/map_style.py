"""What every data set of ours can do, once it gives many samples at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from latentmill.stream import Batches

Images = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]

#: Given an image, uint8 [H, W, C], what the training wants of it.
Transform = Callable[[Images], Any]

_AT_ONCE = 256


class MapStyle(ABC):
    """A map-style data set of `(image, label)`: the image uint8 [H, W, C], or what `transform` makes of it.

    `label` is a position in `labels`, 0 without labels.
    """

    transform: Transform | None

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names by their positions."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _arrays(self, places: Indexes) -> tuple[Images, Indexes]:
        """The same as `arrays`, for places from 0 to below the length."""

    def arrays(self, places: Indexes) -> tuple[Images, Indexes]:
        """Images uint8 [n, H, W, C] and positions of their labels int64 [n], of places int64 [n] below the length."""
        places = np.where(places < 0, places + len(self), places)
        if len(places) and not (places.min() >= 0 and places.max() < len(self)):
            raise IndexError(f"the data set has {len(self)} samples")
        return self._arrays(places)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        (sample,) = self.__getitems__([place])
        return sample

    def __getitems__(self, places: Sequence[int]) -> list[tuple[Any, int]]:
        """Many at once, as PyTorch's loader asks: shuffled ones share the work."""
        images, label_ids = self.arrays(np.array(places, np.int64))
        shown = images if self.transform is None else map(self.transform, images)
        return list(zip(shown, map(int, label_ids), strict=True))

    def stream(
        self,
        *,
        batch_size: int,
        shuffle_seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> "Batches":
        """The samples as an `IterableDataset` of whole batches, for `DataLoader(stream, batch_size=None)`.

        Workers of the loader and ranks share the batches: together they give each once, and one rank's come in the
        same order for any number of workers. Needs torch.
        """
        from latentmill.stream import Batches

        return Batches(
            self, batch_size=batch_size, shuffle_seed=shuffle_seed, rank=rank, world_size=world_size
        )

    def to_hugging_face(self, **options: Any) -> Any:
        """The samples as a `datasets.Dataset` with columns `image` and `label`, which knows the labels' names.

        `options` are those of `Dataset.from_generator`, such as `cache_dir`, where it keeps them as PNG files.
        Needs Hugging Face's `datasets`.
        """
        import datasets

        columns = {"image": datasets.Image()}
        if self.labels:
            columns["label"] = datasets.ClassLabel(names=list(self.labels))
        features = datasets.Features(columns)
        return datasets.Dataset.from_generator(self._rows, features=features, **options)

    def _rows(self) -> Iterator[dict[str, Any]]:
        from PIL import Image

        for start in range(0, len(self), _AT_ONCE):
            images, label_ids = self.arrays(
                np.arange(start, min(start + _AT_ONCE, len(self)), dtype=np.int64)
            )
            for image, label_id in zip(images, label_ids, strict=True):
                # Pillow wants grey pictures without a last axis.
                picture = {
                    "image": Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
                }
                yield picture | ({"label": int(label_id)} if self.labels else {})
