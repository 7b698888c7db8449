"""The arrays in an npz archive, of the few kinds that ours hold; NumPy's own reader would parse much more."""

import math
import re
import zipfile

import numpy as np
import numpy.typing as npt

from service.contract.errors import ArchiveBroken

#: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0.
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '(\|u1|<i8|<U[0-9]{1,3})', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,12}, ?)*[0-9]{0,12})\), \} *\n"
)


def read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[np.generic]:
    """One array, writable. Raises ArchiveBroken, or what `zipfile` raises for damage."""
    with archive.open(f"{name}.npy") as file:
        magic, length = file.read(len(_MAGIC)), int.from_bytes(file.read(2), "little")
        header = _HEADER.fullmatch(file.read(length))
        if magic != _MAGIC or header is None:
            raise ArchiveBroken(f"{name} is no array of ours")
        dtype, words = np.dtype(header[1].decode()), bytearray(file.read())
    shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
    if math.prod(shape) * dtype.itemsize != len(words):
        raise ArchiveBroken(f"{name} has another size than its header tells")
    return np.frombuffer(words, dtype).reshape(shape)
