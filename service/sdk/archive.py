"""Reads archives: the bytes of one shard, in either format, to arrays."""

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from latentmill.png import read_png

from service.contract.errors import ArchiveBroken
from service.contract.recipe import Format

METADATA = "metadata.csv"


class Arrays(NamedTuple):
    """Samples in index order: `images` uint8 [n, H, W, C], `labels` str [n], `indexes` int64 [n].

    A decoder without labels gives empty strings.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    indexes: npt.NDArray[np.int64]


def read_archive(data: bytes, format: Format) -> Arrays:
    """The samples of one archive. Raises ArchiveBroken for a file that is not of the format."""
    read = _read_zip if format == Format.ZIP else _read_npz
    try:
        return read(data)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error


def _read_zip(data: bytes) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(METADATA), "ascii")))
        images = [read_png(archive.read(row["file_name"])) for row in rows]
    return Arrays(
        np.stack(images),
        np.array([row["label"] for row in rows], np.str_),
        np.array([int(row["index"]) for row in rows], np.int64),
    )


def _read_npz(data: bytes) -> Arrays:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        images, indexes = archive["images"], archive["indexes"]
        if "labels" not in archive:
            return Arrays(images, np.full(len(images), "", np.str_), indexes)
        return Arrays(images, archive["label_names"][archive["labels"]], indexes)


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Several shards' samples as one, in the order given."""
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Arrays(*columns)
