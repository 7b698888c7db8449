"""Reads archives: the bytes of one shard, in either format, to arrays."""

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from latentmill.png import read_png

from service.contract.errors import ArchiveBroken
from service.contract.recipe import Format

METADATA = "metadata.csv"


#: What the libraries raise for files that are not what their name says.
_DAMAGE = (zipfile.BadZipFile, struct.error, zlib.error, KeyError, ValueError, EOFError, OSError)


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
    except _DAMAGE as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error


def _read_zip(data: bytes) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(METADATA), "ascii")))
        images = [read_png(_member(archive, data, row["file_name"])) for row in rows]
    return Arrays(
        np.stack(images),
        np.array([row["label"] for row in rows], np.str_),
        np.array([int(row["index"]) for row in rows], np.int64),
    )


def _member(archive: zipfile.ZipFile, data: bytes, name: str) -> bytes:
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        return archive.read(member)
    # Image files are stored as they are; cutting them out is several times faster than a stream.
    name_length, extra_length = struct.unpack_from("<HH", data, member.header_offset + 26)
    start = member.header_offset + 30 + name_length + extra_length
    return data[start : start + member.file_size]


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
