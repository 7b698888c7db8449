"""The IDX file format of MNIST: a magic number, the sizes as big-endian int32, then bytes."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

Bytes = npt.NDArray[np.uint8]

_GZIP_MAGIC = b"\x1f\x8b"
#: The third byte of the magic says uint8, the fourth the number of dimensions.
_UINT8 = 0x08


@dataclass(frozen=True)
class IdxFile:
    """One file's array and the sha256 of its uncompressed bytes, which no gzip setting changes."""

    array: Bytes
    sha256: str


def read_idx(path: Path, *, dimensions: int) -> IdxFile:
    """A uint8 IDX file, gzipped or plain. Raises DataSetInvalid: which file, and what is wrong."""
    raw = _uncompressed(path)
    return IdxFile(_parse(raw, path, dimensions), sha256_hex(raw))


def _uncompressed(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP_MAGIC) else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataSetInvalid(f"{path} cannot be read: {error}") from error


def _parse(raw: bytes, path: Path, dimensions: int) -> Bytes:
    magic, header = bytes([0, 0, _UINT8, dimensions]), 4 + 4 * dimensions
    if raw[:4] != magic:
        raise DataSetInvalid(
            f"{path} begins with 0x{raw[:4].hex()}, not with the IDX magic 0x{magic.hex()}"
        )
    if len(raw) < header:
        raise DataSetInvalid(f"{path} is truncated: it ends inside its header")
    sizes = [int(size) for size in np.frombuffer(raw, ">i4", dimensions, offset=4)]
    told, found = int(np.prod(sizes, dtype=object)), len(raw) - header
    if min(sizes) < 1 or told != found:
        what = "truncated" if found < told else "not what its header says"
        raise DataSetInvalid(
            f"{path} is {what}: sizes {sizes} ask for {told} bytes, it has {found}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(sizes)
