"""A folder of pictures is a data set, or refused in one line that names the file."""

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from export.data import DataSet, Split
from export.datasets import picture as picture_file
from export.datasets import picture_reader
from export.sources import open_data
from service.contract.errors import DataSetInvalid
from tests.fixtures.pictures import picture, write_labelled, write_pictures

CATS_AND_DOGS = {"cat": 28, "dog": 14}


def opened(root: Path, **options: object) -> DataSet:
    return open_data(str(root), cache=root / "nowhere", **options)  # type: ignore[arg-type]


def refused(root: Path, **options: object) -> str:
    with pytest.raises(DataSetInvalid) as error:
        opened(root, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def all_images(data: DataSet) -> set[bytes]:
    return {image.tobytes() for split in splits(data) for image in split.images}


def splits(data: DataSet) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def test_folder_per_label_becomes_three_splits(tmp_path: Path) -> None:
    """Every picture is in one split, every label in every split, and each keeps its own label."""
    data = opened(write_labelled(tmp_path / "pets", CATS_AND_DOGS))
    assert (data.name, data.labels) == ("pets", ("cat", "dog"))
    assert [len(split) for split in splits(data)] == [42 - 6 - 3, 3, 6]
    assert [np.bincount(split.labels).tolist() for split in splits(data)] == [
        [22, 11],
        [2, 1],
        [4, 2],
    ]
    assert len(all_images(data)) == 42
    cats = {np.asarray(picture(index)).tobytes() for index in range(28)}
    for split in splits(data):
        for image, label in zip(split.images, split.labels, strict=True):
            assert (image.tobytes() in cats) == (label == 0)


def test_the_same_folder_splits_the_same_way_and_mixes_labels(tmp_path: Path) -> None:
    """Names decide the split, so a copy elsewhere has the same; and no label comes first."""
    first, again = (
        opened(write_labelled(tmp_path / name, CATS_AND_DOGS)) for name in ("one", "two")
    )
    for one, two in zip(splits(first), splits(again), strict=True):
        assert np.array_equal(one.images, two.images)
    assert len(set(first.train.labels[:22].tolist())) == 2
    assert first.files == again.files


def test_another_picture_leaves_test_pictures_where_they_are(tmp_path: Path) -> None:
    """A picture more of a label moves no more than one picture between splits."""
    root = write_labelled(tmp_path / "pets", CATS_AND_DOGS)
    before = {image.tobytes() for image in opened(root).test.images}
    picture(5000).save(root / "cat" / "more.png")
    after = {image.tobytes() for image in opened(root).test.images}
    assert len(before - after) <= 1


def test_train_and_test_folders_are_kept_apart(tmp_path: Path) -> None:
    """What a person put into `test` is the test split, and validation comes out of `train`."""
    write_labelled(tmp_path / "train", CATS_AND_DOGS)
    write_pictures(tmp_path / "test" / "dog", 5, first=9000)
    data = opened(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (39, 3, 5)
    assert data.test.labels.tolist() == [1] * 5
    write_pictures(tmp_path / "val" / "cat", 2, first=8000)
    data = opened(tmp_path)
    assert (len(data.train), data.validation.labels.tolist()) == (42, [0, 0])


def test_pictures_without_label_folders_have_no_labels(tmp_path: Path) -> None:
    """A flat folder is an unconditional data set, whole or with train and test."""
    data = opened(write_pictures(tmp_path / "flat", 42))
    assert data.labels == ()
    assert [len(split) for split in splits(data)] == [33, 3, 6]
    assert data.train.labels.dtype == np.int64
    assert not any(split.labels.any() for split in splits(data))
    write_pictures(tmp_path / "both" / "train", 24)
    write_pictures(tmp_path / "both" / "test", 3, first=100)
    data = opened(tmp_path / "both")
    assert (data.labels, len(data.train), len(data.test)) == ((), 22, 3)


def test_what_a_service_made_is_an_image_folder(tmp_path: Path) -> None:
    """An unpacked zip of ours, `{label}/{index}.png` and metadata.csv, can be trained on."""
    write_labelled(tmp_path, {"10": 14, "9": 14})
    (tmp_path / "metadata.csv").write_text("file_name,label,index\n")
    told = io.StringIO()
    data = opened(tmp_path, console=Console(file=told, width=200))
    assert data.labels == ("9", "10")
    assert "skipped" not in told.getvalue()


def test_colour_is_decided_by_the_files(tmp_path: Path) -> None:
    """Grey files make one channel, RGB files three, and a palette's picture is RGB."""
    grey = opened(write_labelled(tmp_path / "grey", CATS_AND_DOGS))
    colour = write_labelled(tmp_path / "colour", CATS_AND_DOGS, channels=3)
    picture(1, channels=3).quantize(4).save(colour / "cat" / "000.png")
    assert (grey.shape.channels, opened(colour).shape.channels) == (1, 3)
    picture(1).convert("1").save(tmp_path / "grey" / "cat" / "000.png")
    Image.merge("LA", (picture(1), Image.new("L", (8, 8), 255))).save(
        tmp_path / "grey" / "cat" / "001.png"
    )
    assert opened(tmp_path / "grey").shape.channels == 1


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "pgm", "tif", "webp", "PNG"])
def test_common_picture_formats_are_read(tmp_path: Path, suffix: str) -> None:
    """What people keep pictures in, under any case of its name."""
    write_pictures(tmp_path, 3)
    picture(7).save(tmp_path / f"a.{suffix}")
    assert len(all_images(opened(tmp_path, channels=1))) == 4


def test_a_camera_held_upright_gives_an_upright_picture(tmp_path: Path) -> None:
    """The orientation in a photo's metadata is obeyed."""
    write_pictures(tmp_path, 3)
    turned = picture(7).rotate(90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees clockwise
    turned.save(tmp_path / "a.png", exif=exif)
    assert np.asarray(picture(7)).tobytes() in all_images(opened(tmp_path))


def test_size_and_channels_bring_pictures_to_one_form(tmp_path: Path) -> None:
    """Mixed sizes and colours are no matter once the wanted form is given; nothing is stretched."""
    write_pictures(tmp_path / "cat", 6)
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, 8:24] = 200  # the centre square
    for index in range(6):
        Image.fromarray(wide).save(tmp_path / "cat" / f"wide{index}.png")
    data = opened(tmp_path, size=(4, 6), channels=3)
    assert (data.shape.height, data.shape.width, data.shape.channels) == (4, 6, 3)
    data = opened(tmp_path, size=(8, 8), channels=1)
    assert data.train.images.shape[1:] == (8, 8, 1)
    inner = [image[3:5, 3:5] for split in splits(data) for image in split.images]
    assert sum((image == 200).all() for image in inner) == 6


def test_digest_is_over_names_and_contents(tmp_path: Path) -> None:
    """It is what `sha256sum` prints for all files in the order of their names, hashed again."""
    root = write_labelled(tmp_path / "a", {"cat": 3})
    lines = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  cat/{path.name}\n"
        for path in sorted((root / "cat").iterdir())
    )
    assert opened(root).files == {"images": hashlib.sha256(lines.encode()).hexdigest()}
    (root / "cat" / "000.png").rename(root / "cat" / "900.png")
    assert opened(root).files != {"images": hashlib.sha256(lines.encode()).hexdigest()}


def test_files_that_are_no_pictures_are_skipped_and_told(tmp_path: Path) -> None:
    """Notes beside pictures do no harm, but nobody has to wonder whether they were read."""
    root = write_labelled(tmp_path / "pets", CATS_AND_DOGS)
    (root / "cat" / "notes.txt").write_text("")
    (root / "LICENSE").write_text("")
    (root / ".DS_Store").write_text("")
    (root / ".git").mkdir()
    told = io.StringIO()
    assert len(all_images(opened(root, console=Console(file=told, width=300)))) == 42
    assert "2 files are no images by their names and were skipped: LICENSE, cat/notes.txt" in (
        told.getvalue().replace("\n", " ")
    )
    assert "Reading pets" in told.getvalue()


def test_nothing_is_printed_by_default(tmp_path: Path) -> None:
    """A library call is silent."""
    write_pictures(tmp_path, 3)
    (tmp_path / "a.txt").write_text("")
    code = "import sys; from pathlib import Path; from export.sources import open_data;"
    code += "open_data(sys.argv[1], cache=Path())"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def other_size(root: Path) -> None:
    picture(1, side=9).save(root / "dog" / "000.png")


def other_colour(root: Path) -> None:
    picture(1, channels=3).save(root / "dog" / "000.png")


def too_large(root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(blank_png(1025, 1))


def transparent(root: Path) -> None:
    Image.merge("LA", (picture(1), picture(2))).save(root / "dog" / "000.png")


def sixteen_bits(root: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(root / "dog" / "000.png")


def floats(root: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(root / "dog" / "a.tiff")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def blank_png(width: int, height: int, rows: int | None = None) -> bytes:
    """A grey PNG whose header says so many pixels, with as many rows as asked (all if None)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes((width + 1) * (height if rows is None else rows)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def bomb(side: int) -> Callable[[Path], None]:
    return lambda root: (root / "dog" / "000.png").write_bytes(blank_png(side, side, 1)) and None


def truncated(root: Path) -> None:
    path = root / "dog" / "000.png"
    path.write_bytes(path.read_bytes()[:-30])


def no_picture(root: Path) -> None:
    (root / "dog" / "000.png").write_text("<html>")


def bad_label(root: Path) -> None:
    (root / "dog").rename(root / "T-shirt, top")


def hopeless_label(root: Path) -> None:
    (root / "dog").rename(root / "犬")


def empty_label(root: Path) -> None:
    (root / "bird").mkdir()


def deep(root: Path) -> None:
    write_pictures(root / "dog" / "puppy", 1)


def loose(root: Path) -> None:
    write_pictures(root, 1)


def broken_link(root: Path) -> None:
    (root / "dog" / "a.png").symlink_to(root / "nowhere.png")


def link_to_itself(root: Path) -> None:
    (root / "dog" / "a.png").symlink_to(root / "dog" / "a.png")


def link_to_the_root(root: Path) -> None:
    (root / "dog" / "loop").symlink_to(root, target_is_directory=True)


def pipe(root: Path) -> None:
    os.mkfifo(root / "dog" / "a.png")


def no_test(root: Path) -> None:
    for split in ("train", "val"):
        write_labelled(root / split, {"cat": 3})


def beside_splits(root: Path) -> None:
    for split in ("train", "test"):
        write_labelled(root / split, {"cat": 3})


def new_test_label(root: Path) -> None:
    for label in ("cat", "dog"):
        (root / "train").mkdir(exist_ok=True)
        (root / label).rename(root / "train" / label)
    write_labelled(root / "test", {"cat": 3, "emu": 3})


def flat_test(root: Path) -> None:
    new_test_label(root)
    for label in ("cat", "emu"):
        for path in (root / "test" / label).iterdir():
            path.unlink()
        (root / "test" / label).rmdir()
    write_pictures(root / "test", 3)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "other_size": (
        other_size,
        "dog/000.png is 9 x 9 pixels, grey, but ROOT/dog/002.png is 8 x 8 pixels, grey: "
        "make them alike, or give --size",
    ),
    "other_colour": (other_colour, "dog/000.png is 8 x 8 pixels, RGB, but"),
    "too_large": (too_large, "is 1 x 1025 pixels, grey; at most 1024 x 1024 are trained on: give"),
    "transparent": (transparent, "dog/000.png has transparent pixels; put it on a background"),
    "sixteen_bits": (sixteen_bits, "dog/000.png has pixels of mode I;16 (16 bits"),
    "floats": (floats, "dog/a.tiff has pixels of mode F (16 bits, floats"),
    "bomb": (bomb(9000), "dog/000.png has more than 64,000,000 pixels; make it smaller first"),
    "larger_bomb": (bomb(60000), "dog/000.png has more than 64,000,000 pixels"),
    "truncated": (truncated, "dog/000.png cannot be read: "),
    "no_picture": (no_picture, "dog/000.png is no picture (PNG, JPEG,"),
    "bad_label": (
        bad_label,
        "'T-shirt, top' cannot be a label; rename it, for example to T-shirt-top",
    ),
    "hopeless_label": (
        hopeless_label,
        "'犬' cannot be a label; rename it (letters, digits, - and _",
    ),
    "empty_label": (empty_label, "bird holds no pictures: delete it, or put some into it"),
    "deep": (deep, "dog holds a folder (puppy): a label's folder holds pictures only"),
    "loose": (loose, "holds both folders and pictures (000.png)"),
    "broken_link": (broken_link, "dog/a.png is a broken link or no plain file"),
    "link_to_itself": (link_to_itself, "dog/a.png is a broken link or no plain file"),
    "link_to_the_root": (link_to_the_root, "dog holds a folder (loop)"),
    "pipe": (pipe, "dog/a.png is a broken link or no plain file"),
    "no_test": (no_test, "has a folder train but no test beside it; rename val to test"),
    "beside_splits": (beside_splits, "holds train and test, and beside them cat: move it"),
    "new_test_label": (
        new_test_label,
        "the test split has labels that the train split lacks: emu",
    ),
    "flat_test": (flat_test, "train and test must both have label folders, or neither"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_folder_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    """Each kind of bad picture or folder is named, with what to do about it."""
    broken, words = BROKEN[fault]
    root = write_labelled(tmp_path / "pets", CATS_AND_DOGS)
    broken(root)
    assert words.replace("ROOT", str(root)) in refused(root)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without pictures says what it looked for."""
    assert "holds no pictures (.bmp, .gif, .jpeg" in refused(tmp_path)


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    """Two pictures cannot be trained on, validated and tested."""
    assert "2 images are too few to hold some out" in refused(write_pictures(tmp_path / "a", 2))
    assert "1 images are too few" in refused(write_pictures(tmp_path / "b", 1))


def test_a_folder_larger_than_memory_allows_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all pictures will need is known from the first of them."""
    monkeypatch.setattr(picture_reader, "MOST_BYTES", 42 * 64 - 1)
    root = write_labelled(tmp_path, CATS_AND_DOGS)
    assert "42 images of 8 x 8 pixels, grey are more than" in refused(root)
    assert opened(root, size=(7, 7)).shape.height == 7


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is looked at before it is taken into memory."""
    monkeypatch.setattr(picture_file, "MOST_FILE_BYTES", 10)
    assert "bytes; at most 10" in refused(write_pictures(tmp_path, 3))
