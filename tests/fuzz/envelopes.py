"""Archives whose checksums are right and whose contents are anything: damage would else end at the first CRC."""

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

#: A small table with one row, and a small file of one sample.
TABLE = b"file_name,label,index\n3/000000000000.png,3,0\n"
PNG_HEAD = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)


def zip_of(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def zip_around(data: bytes) -> bytes:
    """An image archive: the table as given, and one deflated member."""
    table, _, png = data.partition(b"\0\0")
    return zip_of({"metadata.csv": table, "3/000000000000.png": png}, zipfile.ZIP_DEFLATED)


def npy_of(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


#: The arrays of two samples.
ARRAYS = {
    "images": npy_of(np.zeros((2, 3, 4, 1), np.uint8)),
    "indexes": npy_of(np.arange(2)),
    "labels": npy_of(np.array([1, 0])),
    "label_names": npy_of(np.array(["cat", "dog"])),
}


def npz_around(data: bytes) -> bytes:
    """An npz archive in which the array that the first byte names is the rest of these bytes."""
    name = list(ARRAYS)[data[0] % len(ARRAYS)] if data else "images"
    return zip_of({f"{name}.npy": file for name, file in (ARRAYS | {name: data[1:]}).items()})


def png_around(data: bytes) -> bytes:
    """A PNG file whose header is the first 13 bytes, and whose compressed lines are the rest."""
    head, lines = data[:13].ljust(13, b"\0"), zlib.compress(data[13:])
    chunks = ((b"IHDR", head), (b"IDAT", lines), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
