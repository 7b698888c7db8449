"""Reads archives: the bytes of one shard, in any format, to arrays."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from latentmill.image_files import DAMAGE, read_image_files
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


def read_archive(data: bytes, format: Format, label: str | None = None) -> Arrays:
    """The samples of one archive. `label` names those of a tar, which holds only ids.

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
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            images, indexes = archive["images"], archive["indexes"]
            if "labels" not in archive:
                return Arrays(images, np.full(len(images), "", np.str_), indexes)
            return Arrays(images, archive["label_names"][archive["labels"]], indexes)
    except DAMAGE as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Several shards' samples as one, in the order given."""
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Arrays(*columns)
