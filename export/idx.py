"""The IDX file format of MNIST: a magic number, the sizes as big-endian int32, then bytes."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

Bytes = npt.NDArray[np.uint8]

_GZIP_MAGIC = b"\x1f\x8b"
#: The third byte of the magic says uint8, the fourth the number of dimensions.
_UINT8 = 0x08
#: A gzip file of a few megabytes can hold terabytes of zeros: no more than this is unpacked.
MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class IdxFile:
    """One file's array, the sha256 of its uncompressed bytes and that of the file as it lies there.

    Mirrors gzip in their own ways, so only the first says which data these are.
    """

    array: Bytes
    sha256: str
    stored_sha256: str


def read_idx(path: Path, *, dimensions: int) -> IdxFile:
    """A uint8 IDX file, gzipped or plain. Raises DataSetInvalid: which file, and what is wrong."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DataSetInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_idx(stored, str(path), dimensions=dimensions)


def parse_idx(stored: bytes, where: str, *, dimensions: int) -> IdxFile:
    """An IDX file's bytes, gzipped or plain; `where` names them in errors. Raises DataSetInvalid."""
    file = _uncompressed(stored)
    try:
        sizes, header = _header(file, where, dimensions)
        array = _array(file, sizes, where)
    except (OSError, EOFError, zlib.error) as error:
        raise DataSetInvalid(f"{where} cannot be read: {error}") from error
    digest = hashlib.sha256(header)
    digest.update(array.data)
    return IdxFile(array, digest.hexdigest(), sha256_hex(stored))


def _uncompressed(stored: bytes) -> IO[bytes]:
    """Known as gzip by its bytes: names lie, since browsers unpack files and keep their names."""
    file = io.BytesIO(stored)
    return cast(IO[bytes], gzip.open(file)) if stored.startswith(_GZIP_MAGIC) else file


def _header(file: IO[bytes], where: str, dimensions: int) -> tuple[list[int], bytes]:
    magic = bytes([0, 0, _UINT8, dimensions])
    found = file.read(4)
    if found != magic:
        raise DataSetInvalid(
            f"{where} begins with 0x{found.hex()}, not with the IDX magic 0x{magic.hex()}"
        )
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataSetInvalid(f"{where} is truncated: it ends inside its header")
    return [int(size) for size in np.frombuffer(sizes, ">i4")], magic + sizes


def _array(file: IO[bytes], sizes: Sequence[int], where: str) -> Bytes:
    told = int(np.prod(sizes, dtype=object))
    if told > MOST_BYTES:
        raise DataSetInvalid(f"{where}: sizes {sizes} ask for {told} bytes; at most {MOST_BYTES}")
    # One byte more than told shows that there are more, without unpacking all of them.
    raw = file.read(max(told, 0) + 1)
    if min(sizes) < 1 or len(raw) != told:
        what = "truncated" if len(raw) < told else "not what its header says"
        found = f"{len(raw)}" if len(raw) <= told else "more"
        raise DataSetInvalid(
            f"{where} is {what}: sizes {sizes} ask for {told} bytes, found {found}"
        )
    return np.frombuffer(raw, np.uint8).reshape(sizes)
