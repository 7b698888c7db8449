"""The arrays in an NPZ file, looked at before they are unpacked and never unpickled."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from export.datasets.labels import Told
from export.idx import MOST_BYTES
from service.contract.errors import DataSetInvalid

Arrays = Mapping[str, Told]

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path, known: Sequence[str]) -> dict[str, Told]:
    """All arrays of an NPZ file, whose names are all `known`. Raises DataSetInvalid."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path, known)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DataSetInvalid:
        raise
    except zipfile.BadZipFile as error:
        raise DataSetInvalid(f"{path} is no NPZ file, or a broken one: {error}") from error
    # zipfile, zlib and NumPy's reader raise whatever broken bytes lead to.
    except Exception as error:
        raise DataSetInvalid(f"{path} cannot be read: {_in_one_line(error)}") from error


@dataclass(frozen=True)
class _Header:
    """What one member says of itself: its array's size, and its own with the header."""

    array_bytes: int
    member_bytes: int


def _check(archive: zipfile.ZipFile, path: Path, known: Sequence[str]) -> None:
    total = 0
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name not in known or name == member.filename:
            raise DataSetInvalid(
                f"{path} holds {member.filename!r}; an NPZ data set holds only {', '.join(known)}"
            )
        header = _header(archive, member, f"{path}: `{name}`")
        if header.member_bytes != member.file_size:
            raise DataSetInvalid(
                f"{path}: `{name}` should have {header.member_bytes} bytes, but has "
                f"{member.file_size}"
            )
        total += header.array_bytes
    if total > MOST_BYTES:
        raise DataSetInvalid(f"{path} would unpack to {total} bytes; at most {MOST_BYTES}")


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> _Header:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _READ_HEADER:
            raise DataSetInvalid(
                f"{where} is written in NPY version {version}; 1.0 and 2.0 are read"
            )
        shape, _, dtype = _READ_HEADER[version](file)
        if dtype.hasobject:
            raise DataSetInvalid(
                f"{where} holds Python objects, which are not unpacked: store numbers or strings"
            )
        array_bytes = prod(shape) * dtype.itemsize
        return _Header(array_bytes, file.tell() + array_bytes)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
