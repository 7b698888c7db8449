"""Reads archives: the bytes of one shard, in any format, to arrays."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from latentmill.arrays import read_array
from latentmill.image_files import DAMAGE, read_image_files, refuse_bomb
from latentmill.png import read_png

from service.contract.errors import ArchiveBroken
from service.contract.recipe import Format


class Arrays(NamedTuple):
    """Samples in index order: `images` uint8 [n, H, W, C], `labels` str [n], `indexes` int64 [n].

    A decoder without labels gives empty strings.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    indexes: npt.NDArray[np.int64]


def read_archive(
    data: bytes, format: Format, label: str | Mapping[str, int] | None = None
) -> Arrays:
    """The samples of one archive. `label`, or a recipe's mix, names those of a tar, which holds only ids.

    Raises ArchiveBroken for a file that is not of the format, StartRefused for parquet without pyarrow.
    """
    if format == Format.NPZ:
        return _read_npz(data)
    files = read_image_files(data, format, label)
    try:
        images = np.stack([read_png(file) for file in files.files])
    except ValueError as error:
        raise ArchiveBroken("the archive has no images, or some of another shape") from error
    return Arrays(images, np.array(files.labels, np.str_), np.array(files.indexes, np.int64))


def _read_npz(data: bytes) -> Arrays:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            refuse_bomb(archive, len(data))
            images, indexes = read_array(archive, "images"), read_array(archive, "indexes")
            labels: npt.NDArray[Any] = np.full(len(images), "", np.str_)
            if "labels.npy" in archive.namelist():
                ids: Any = read_array(archive, "labels")
                if len(ids) and ids.min() < 0:
                    raise ArchiveBroken("the archive holds a label below 0")
                labels = read_array(archive, "label_names")[ids]
    except DAMAGE as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error
    return _of_one_length(images, labels, indexes)


def _of_one_length(images: Any, labels: Any, indexes: Any) -> Arrays:
    forms = (images.ndim, images.dtype, labels.ndim, labels.dtype.kind, indexes.ndim, indexes.dtype)
    if forms != (4, np.uint8, 1, "U", 1, np.int64):
        raise ArchiveBroken("the archive holds other arrays than images, labels and indexes")
    if not len(images) == len(labels) == len(indexes):
        raise ArchiveBroken("the archive does not hold a label and an index for each image")
    return Arrays(images, labels, indexes)


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Several shards' samples as one, in the order given."""
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Arrays(*columns)
