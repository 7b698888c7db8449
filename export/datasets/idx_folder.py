"""MNIST's four IDX files in a folder, or EMNIST's, which have other names."""

import re
from collections.abc import Iterator
from pathlib import Path

from export.data import DataSet
from export.datasets.download import Checksum
from export.datasets.four_files import DIMENSIONS, emnist_files, mnist_files
from export.datasets.published import Published
from export.idx import IdxFile, read_idx
from service.contract.errors import DataSetInvalid

#: The original spelling of the file names and that of some archives.
_SPELLINGS = ("{part}-{kind}-idx{dimensions}-ubyte", "{part}-{kind}.idx{dimensions}-ubyte")
_IDX_FILE = re.compile(r".+[-.]idx\d-ubyte(\.gz)?")
_EMNIST_FILE = re.compile(r"emnist-(\w+)-train-images[-.]idx3-ubyte(\.gz)?")


def is_idx_folder(folder: Path) -> bool:
    """Whether a file in `folder` is named as IDX files are. Raises DataSetInvalid."""
    return any(_IDX_FILE.fullmatch(name) for name in _names(folder))


def idx_folder(folder: Path) -> DataSet:
    """Four files, gzipped or plain. Raises DataSetInvalid.

    Labels are numbers, but for the label files of a known data set, which have their names.
    """
    if not folder.is_dir():
        raise DataSetInvalid(f"{folder} is not a folder")
    name, where = folder.resolve().name, str(folder)
    if split := _emnist_split(folder):
        return emnist_files(split, lambda part, kind: _read(folder, part, kind), where, name=name)
    return mnist_files(lambda part, kind: _read(folder, part, kind), where, name=name)


def published_folder(published: Published, folder: Path) -> DataSet:
    """The downloaded files of a known data set, checked again. Raises DataSetInvalid."""

    def read(part: str, kind: str) -> IdxFile:
        path = folder / f"{part}-{kind}-idx{DIMENSIONS[kind]}-ubyte.gz"
        try:
            file = read_idx(path, dimensions=DIMENSIONS[kind])
            _believe(file, published.files[path.name])
        except DataSetInvalid as error:
            raise DataSetInvalid(f"{error}; delete {path}, and it is downloaded again") from error
        return file

    return mnist_files(read, str(folder), name=published.name, labels=published.labels)


def _believe(file: IdxFile, checksum: Checksum) -> None:
    found = file.sha256 if checksum.uncompressed else file.stored_sha256
    if found != checksum.sha256:
        raise DataSetInvalid(f"sha256 {found[:12]}…, wanted {checksum.sha256[:12]}…")


def _read(folder: Path, part: str, kind: str) -> IdxFile:
    dimensions = DIMENSIONS[kind]
    stems = [name.format(part=part, kind=kind, dimensions=dimensions) for name in _SPELLINGS]
    for path in (folder / f"{stem}{suffix}" for stem in stems for suffix in (".gz", "")):
        if path.is_file():
            return read_idx(path, dimensions=dimensions)
    raise DataSetInvalid(f"{folder} has no {stems[0]}.gz (nor the same file without .gz)")


def _emnist_split(folder: Path) -> str | None:
    found = {match[1] for name in _names(folder) if (match := _EMNIST_FILE.fullmatch(name))}
    if len(found) > 1:
        raise DataSetInvalid(
            f"{folder} holds several splits of EMNIST ({', '.join(sorted(found))}): put the four "
            "files of one into a folder of their own"
        )
    return found.pop() if found else None


def _names(folder: Path) -> Iterator[str]:
    try:
        yield from (path.name for path in folder.iterdir())
    except OSError as error:
        raise DataSetInvalid(f"{folder} cannot be read: {error.strerror or error}") from error
