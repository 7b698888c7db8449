"""A data set as training sees it: three splits of images with label ids."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from export.idx import Bytes
from service.contract.card import ImageShape
from service.contract.errors import DataSetInvalid

LabelIds = npt.NDArray[np.int64]

#: One training image in this many is held out for validation, the last ones of the file.
HOLD_OUT = 12


@dataclass(frozen=True)
class Split:
    """`images` uint8 [N, H, W, C] and their label ids, int64 [N]."""

    images: Bytes
    labels: LabelIds

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """Three splits, label names in the order of their ids, and the sha256 of every source file."""

    name: str
    labels: tuple[str, ...]
    shape: ImageShape
    train: Split
    validation: Split
    test: Split
    files: Mapping[str, str]


def data_set(
    name: str, *, train: Split, test: Split, labels: tuple[str, ...], files: Mapping[str, str]
) -> DataSet:
    """A data set whose validation split is the end of `train`. Raises DataSetInvalid."""
    shape = _shape(train.images)
    if _shape(test.images) != shape:
        sizes = f"{train.images.shape[1:]}, test images {test.images.shape[1:]}"
        raise DataSetInvalid(f"{name}: train images are {sizes}")
    learned, held_out = _hold_out(train)
    return DataSet(name, labels, shape, learned, held_out, test, files)


def _shape(images: Bytes) -> ImageShape:
    _, height, width, channels = images.shape
    try:
        return ImageShape(height=height, width=width, channels=channels)
    except ValidationError as error:
        raise DataSetInvalid(
            f"images of {height} x {width} pixels; at most 1024 x 1024 are trained on"
        ) from error


def _hold_out(split: Split) -> tuple[Split, Split]:
    kept = len(split) - max(1, len(split) // HOLD_OUT)
    if kept < 1:
        raise DataSetInvalid("one training image is too few: one is held out for validation")
    return (
        Split(split.images[:kept], split.labels[:kept]),
        Split(split.images[kept:], split.labels[kept:]),
    )
