"""A data set as training sees it: three splits of images with label ids."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from export.datasets.partition import HOLD_OUT, Rows, hold_out, row_keys
from export.idx import Bytes
from service.contract.card import ImageShape
from service.contract.errors import DataSetInvalid

LabelIds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """`images` uint8 [N, H, W, C] and their label ids, int64 [N]: zeros where there are no labels."""

    images: Bytes
    labels: LabelIds

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """Three splits, label names in the order of their ids, and the sha256 of every source file.

    `labels` is empty for a data set without labels.
    """

    name: str
    labels: tuple[str, ...]
    shape: ImageShape
    train: Split
    validation: Split
    test: Split
    files: Mapping[str, str]


def data_set(
    name: str,
    *,
    train: Split,
    test: Split,
    labels: tuple[str, ...],
    files: Mapping[str, str],
    validation: Split | None = None,
) -> DataSet:
    """Three splits of one shape; without `validation`, one image in 12 of `train` is held out.

    Raises DataSetInvalid.
    """
    shape = _shape(name, train.images)
    for words, split in (("test", test), ("validation", validation)):
        if split is not None and _shape(name, split.images) != shape:
            sizes = f"{train.images.shape[1:]}, {words} images {split.images.shape[1:]}"
            raise DataSetInvalid(f"{name}: train images are {sizes}")
    learned, held_out = _hold_out(name, train) if validation is None else (train, validation)
    return DataSet(name, labels, shape, learned, held_out, test, files)


def unconditional(data: DataSet) -> DataSet:
    """The same images without their labels."""
    train, validation, test = (
        Split(split.images, np.zeros(len(split), np.int64))
        for split in (data.train, data.validation, data.test)
    )
    return replace(data, labels=(), train=train, validation=validation, test=test)


def _shape(name: str, images: Bytes) -> ImageShape:
    _, height, width, channels = images.shape
    try:
        return ImageShape(height=height, width=width, channels=channels)
    except ValidationError as error:
        found = f"{height} x {width} pixels" if channels in (1, 3) else f"{channels} channels"
        raise DataSetInvalid(
            f"{name}: images of {found}; at most 1024 x 1024 are trained on, of 1 channel (grey) or 3 (RGB)"
        ) from error


def _hold_out(name: str, split: Split) -> tuple[Split, Split]:
    """The last of the file where they show every label (as MNIST's do), else some of each label."""
    kept = len(split) - max(1, len(split) // HOLD_OUT)
    if kept < 1:
        raise DataSetInvalid(
            f"{name}: one training image is too few: one is held out for validation"
        )
    if not _same_labels(split.labels[:kept], split.labels[kept:]):
        learned, held_out = hold_out(row_keys(len(split)), split.labels, one_in=HOLD_OUT)
        if len(held_out):
            return _rows(split, learned), _rows(split, held_out)
    # Slices, which share the memory of the whole.
    return _rows(split, slice(kept)), _rows(split, slice(kept, None))


def _same_labels(some: LabelIds, others: LabelIds) -> bool:
    return np.array_equal(np.unique(some), np.unique(others))


def _rows(split: Split, rows: Rows | slice) -> Split:
    return Split(split.images[rows], split.labels[rows])
