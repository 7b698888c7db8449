"""EMNIST by download: one zip with the IDX files of all its splits."""

import zipfile
import zlib
from pathlib import Path

from export.data import DataSet
from export.datasets.four_files import DIMENSIONS, emnist_files
from export.idx import MOST_BYTES, IdxFile, parse_idx
from service.contract.errors import DataSetInvalid


def emnist(path: Path, split: str) -> DataSet:
    """One split out of the zip that NIST publishes. Raises DataSetInvalid."""
    try:
        with zipfile.ZipFile(path) as archive:
            return emnist_files(
                split,
                lambda part, kind: _read(archive, part, kind),
                str(path),
                name=f"emnist-{split}",
            )
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataSetInvalid(
            f"{path} cannot be read ({error}): delete it, and it is downloaded again"
        ) from error


def _read(archive: zipfile.ZipFile, part: str, kind: str) -> IdxFile:
    member = f"gzip/{part}-{kind}-idx{DIMENSIONS[kind]}-ubyte.gz"
    where = f"{archive.filename}: {member}"
    if member not in archive.namelist():
        raise DataSetInvalid(f"{where} is missing: delete the zip, and it is downloaded again")
    if archive.getinfo(member).file_size > MOST_BYTES:
        raise DataSetInvalid(f"{where} would unpack to more than {MOST_BYTES} bytes")
    return parse_idx(archive.read(member), where, dimensions=DIMENSIONS[kind])
