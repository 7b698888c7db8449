"""Reading archives: every PNG reads back, and damage is an error of ours."""

import io
import json
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from latentmill import image_files
from latentmill.archive import read_archive
from latentmill.errors import ArchiveBroken, LatentmillError, RequestInvalid
from latentmill.extract import extract
from latentmill.png import read_png
from PIL import Image

from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.decoders import tiny_decoder
from tests.test_sdk_transport import manifest_json
from workers.archives import new_archive
from workers.body import Body


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


def tar_of(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def parquet_of(told: object = None, **columns: list[Any]) -> bytes:
    file, metadata = io.BytesIO(), {"huggingface": json.dumps(told)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
    return file.getvalue()


def named(*names: str) -> dict[str, object]:
    return {"info": {"features": {"label": {"names": list(names)}}}}


PICTURE = {"bytes": GOOD, "path": "000000000000.png"}
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
        (zip_of({"metadata.csv": TABLE, "3/000000000000.png": GOOD, "more": b""}), Format.ZIP),
        (b"no archive", Format.TAR),
        (tar_of({}), Format.TAR),
        (tar_of({"000000000000.png": b"no image"}), Format.TAR),
        (tar_of({"000000000000.cls": b"3"}), Format.TAR),
        (tar_of({"000000000000.png": GOOD, "000000000000.cls": b"three"}), Format.TAR),
        (tar_of({"000000000000.png": GOOD, "000000000001.cls": b"3"}), Format.TAR),
        (tar_of({"000000000000.png": GOOD, "/etc/passwd": b""}), Format.TAR),
        (tar_of({"000000000000.png": b""}, tarfile.SYMTYPE), Format.TAR),
        (tar_of({"000000000000.png": GOOD})[:520], Format.TAR),
        (b"no archive", Format.PARQUET),
        (parquet_of(image=[PICTURE]), Format.PARQUET),
        (parquet_of(index=[0]), Format.PARQUET),
        (parquet_of(image=[PICTURE, None], index=[0, 1]), Format.PARQUET),
        (parquet_of(image=[{"bytes": 1}], index=[0]), Format.PARQUET),
        (parquet_of(image=[PICTURE], label=[0], index=[0]), Format.PARQUET),
        (parquet_of(named("3"), image=[PICTURE], label=[1], index=[0]), Format.PARQUET),
        (parquet_of(image=[PICTURE], index=[0])[:-40], Format.PARQUET),
    ],
)
def test_a_broken_archive_is_an_error_of_ours(data: bytes, format: Format) -> None:
    """Whatever is wrong inside, the caller meets ArchiveBroken."""
    with pytest.raises(ArchiveBroken):
        read_archive(data, format)


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("labels", [(), ("cat", "dog", "3")])
@pytest.mark.parametrize("shape", [(6, 5, 1), (3, 4, 3)])
def test_every_format_reads_back(
    format: Format, labels: tuple[str, ...], shape: tuple[int, int, int]
) -> None:
    """The pixels, the name of the label and the indexes are those that the worker packed."""
    images, shard = noise(shape), Shard(index=1, start=BLOCK, stop=BLOCK + 20)
    data = packed(images, shard, format, labels)
    read = read_archive(data, format, labels[1] if labels else None)
    assert np.array_equal(read.images, images)
    assert set(read.labels.tolist()) == {"dog" if labels else ""}
    assert read.indexes.tolist() == list(range(shard.start, shard.stop))


def noise(shape: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8)


def packed(images: Any, shard: Shard, format: Format, labels: tuple[str, ...]) -> bytes:
    card, body = tiny_decoder(labels=labels, shape=images.shape[1:])[1], Body()
    recipe = Recipe(
        decoder=card.digest,
        label=labels[1] if labels else None,
        seed=1,
        format=format,
        compression=Compression.FAST,
        shard_size=BLOCK,
    )
    archive = new_archive(recipe, shard, card, body)
    archive.add(images)
    archive.finish()
    return bytes(body.view())


def npz_of(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


ZEROS, ARANGE = np.zeros((2, 3, 4, 1), np.uint8), np.arange(1, 3)
NAMES = np.array(["cat", "dog", "3"])


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": ZEROS},
        {"images": ZEROS[0], "indexes": np.arange(3)},
        {"images": ZEROS.astype(np.float32), "indexes": np.arange(2)},
        {"images": ZEROS, "indexes": np.arange(3)},
        {"images": ZEROS, "indexes": np.array([None, None])},
        {"images": ZEROS, "indexes": np.arange(2), "labels": np.arange(2)},
        {"images": ZEROS, "indexes": np.arange(2), "labels": -ARANGE, "label_names": NAMES},
        {"images": ZEROS, "indexes": np.arange(2), "labels": 2 * ARANGE, "label_names": NAMES},
    ],
    ids=lambda arrays: ",".join(f"{k}:{v.dtype}{v.shape}" for k, v in arrays.items()),
)
def test_arrays_that_are_none_of_ours_are_refused(arrays: dict[str, Any]) -> None:
    """Kinds, shapes and lengths are looked at, and no label is counted from the end."""
    with pytest.raises(ArchiveBroken):
        read_archive(npz_of(**arrays), Format.NPZ)


def bomb_of(member: bytes, times: int) -> bytes:
    """A zip whose directory names one member many times: each copy is unpacked from the same bytes."""
    once = zip_of({"metadata.csv": member})
    at = once.index(b"PK\x01\x02")
    entry, end = once[at:-22], once[-22:]
    size, count = struct.pack("<I", times * len(entry)), struct.pack("<HH", times, times)
    return once[:at] + times * entry + end[:8] + count + size + end[16:]


@pytest.mark.parametrize("format", [Format.ZIP, Format.NPZ])
def test_a_bomb_is_refused_before_it_is_unpacked(format: Format) -> None:
    """Members that overlap are none of ours: a megabyte could hold terabytes."""
    with pytest.raises(ArchiveBroken, match="more than it can hold"):
        read_archive(bomb_of(TABLE + bytes(10_000), times=100), format)


@pytest.mark.parametrize("flag", [b"\x01", b"\x00"])
def test_what_zipfile_cannot_do_is_an_error_of_ours(flag: bytes) -> None:
    """An encrypted member, and one of a version to come."""
    data = bytearray(zip_of({"metadata.csv": TABLE}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8 : entry + 9] = flag
    if flag == b"\x00":
        data[entry + 6] = 255
    with pytest.raises(ArchiveBroken):
        read_archive(bytes(data), Format.ZIP)


def test_a_tar_that_leads_in_circles_is_refused() -> None:
    """A size below zero would send a reader back to where it was (CVE-2025-8194)."""
    data = bytearray(tar_of({"000000000000.png": GOOD}))
    data[124:136] = b"\xff" * 10 + struct.pack(">h", -512)
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    with pytest.raises(ArchiveBroken):
        read_archive(bytes(data), Format.TAR)


def test_a_tar_tells_ids_where_nobody_tells_a_name() -> None:
    """A tar holds no names; several labels cannot all be the one that was asked for."""
    members = {f"{i:012d}.{kind}": file for i in (0, 1) for kind, file in pair(i)}
    assert read_archive(tar_of(members), Format.TAR).labels.tolist() == ["0", "1"]
    with pytest.raises(ArchiveBroken, match="other labels"):
        read_archive(tar_of(members), Format.TAR, "cat")
    assert read_archive(tar_of(members), Format.TAR, {"a": 1, "b": 1}).labels.tolist() == ["a", "b"]
    with pytest.raises(ArchiveBroken, match="other labels"):
        read_archive(tar_of(members), Format.TAR, {"a": 2, "b": 1})


def pair(label_id: int) -> list[tuple[str, bytes]]:
    return [("png", GOOD), ("cls", str(label_id).encode())]


def test_without_pyarrow_only_parquet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to install; every other format is read as before."""
    monkeypatch.setattr(image_files, "find_spec", lambda name: None)
    with pytest.raises(LatentmillError, match="pip install pyarrow"):
        read_archive(parquet_of(image=[PICTURE], index=[0]), Format.PARQUET)
    assert read_archive(tar_of({"000000000000.png": GOOD}), Format.TAR).indexes.tolist() == [0]


@pytest.mark.parametrize("format", [Format.ZIP, Format.TAR, Format.PARQUET])
def test_every_format_unpacks_into_the_same_folder(tmp_path: Path, format: Format) -> None:
    """An image folder per label with one `metadata.csv`, whatever the archives were."""
    images, shard = noise((6, 5, 1))[:10], Shard(index=0, start=0, stop=10)
    manifest = manifest_json().replace(b'"format": "zip"', f'"format": "{format}"'.encode())
    (tmp_path / "manifest.json").write_bytes(manifest)
    data = packed(images, shard, format, ("0", "3"))
    (tmp_path / f"000000000000-000000000010.{format}").write_bytes(data)
    target = extract(tmp_path)
    rows = (target / "metadata.csv").read_text().splitlines()
    assert rows[1:] == [f"3/{index:012d}.png,3,{index}" for index in range(10)]
    assert len(list(target.rglob("*.png"))) == 10
    for index in (0, 9):
        assert np.array_equal(
            read_png((target / "3" / f"{index:012d}.png").read_bytes()), images[index]
        )


def test_a_label_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    """A parquet file may name any label; what is no label of ours makes no folder."""
    folder = tmp_path / "job"
    folder.mkdir()
    manifest = manifest_json().replace(b'"format": "zip"', b'"format": "parquet"')
    (folder / "manifest.json").write_bytes(manifest)
    evil = parquet_of(named("../../escaped"), image=[PICTURE], label=[0], index=[0])
    (folder / "000000000000-000000000010.parquet").write_bytes(evil)
    with pytest.raises(ArchiveBroken, match="escaped"):
        extract(folder)
    assert not list(tmp_path.rglob("*.png"))


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
    with pytest.raises(RequestInvalid, match="zip, tar, parquet archives hold"):
        extract(tmp_path)
