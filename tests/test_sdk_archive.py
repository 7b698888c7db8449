"""Reading archives: every PNG reads back, and damage is an error of ours."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from latentmill.archive import read_archive
from latentmill.errors import ArchiveBroken, RequestInvalid
from latentmill.extract import extract
from latentmill.png import read_png
from PIL import Image

from service.contract.recipe import Format
from tests.test_sdk_transport import manifest_json


def png_of(lines: bytes, width: int, height: int, colour: int, *, depth: int = 8) -> bytes:
    """A PNG file around filtered lines; any bytes are the lines of some image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packed = zlib.compress(lines)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    # Two IDAT chunks and one of no interest, because a reader must not count on a single one.
    body = chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", packed[5:])
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("shape", [(33, 20, 3), (5, 7)])
def test_files_of_other_encoders_are_read(shape: tuple[int, ...]) -> None:
    """A later encoder may choose other filters; grey and RGB read back with a channel axis."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    assert np.array_equal(read_png(file.getvalue()), pixels.reshape(*shape[:2], -1))


GOOD = png_of(bytes(2 * 3), 2, 2, 0)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"GIF89a",
        GOOD[:30],
        GOOD[:50],
        png_of(bytes(5), 2, 2, 0),
        png_of(b"\x05\0\0\0\0\0", 2, 2, 0),
        png_of(bytes(6), 2, 2, 0, depth=16),
        png_of(bytes(6), 2, 2, 3),
        png_of(bytes(6), 70_000, 70_000, 0),
    ],
    ids=["empty", "gif", "cut-head", "cut-body", "short", "filter-5", "16-bit", "palette", "huge"],
)
def test_what_is_no_png_of_ours_is_refused(file: bytes) -> None:
    """Damage and foreign kinds are ArchiveBroken, never a crash or a wrong image."""
    with pytest.raises(ArchiveBroken):
        read_png(file)


def zip_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


TABLE = b"file_name,label,index\n3/000000000000.png,3,0\n"


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (b"no archive", Format.ZIP),
        (b"no archive", Format.NPZ),
        (zip_of({}), Format.ZIP),
        (zip_of({"metadata.csv": TABLE}), Format.ZIP),
        (zip_of({"metadata.csv": b"file_name,label,index\n"}), Format.ZIP),
        (zip_of({"metadata.csv": TABLE, "3/000000000000.png": b"no image"}), Format.ZIP),
        (zip_of({"images.npy": b"no array"}), Format.NPZ),
    ],
)
def test_a_broken_archive_is_an_error_of_ours(data: bytes, format: Format) -> None:
    """Whatever is wrong inside, the caller meets ArchiveBroken."""
    with pytest.raises(ArchiveBroken):
        read_archive(data, format)


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    """A member with a path of its own is refused, and nothing is written there."""
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest_json())
    evil = zip_of({"metadata.csv": TABLE, "../../escaped.png": b"data"})
    (folder / "000000000000-000000000010.zip").write_bytes(evil)
    with pytest.raises(ArchiveBroken, match="escaped"):
        extract(folder)
    assert not list(tmp_path.rglob("escaped.png"))


def test_arrays_are_not_unpacked_into_files(tmp_path: Path) -> None:
    """npz archives hold no image files, and the refusal says which format does."""
    manifest = manifest_json().replace(b'"format": "zip"', b'"format": "npz"')
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(RequestInvalid, match="only zip"):
        extract(tmp_path)
