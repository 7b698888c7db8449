"""Training data is read right or refused in one line that names the file."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.datasets.partition import HOLD_OUT
from export.idx import read_idx
from export.sources import digits, idx_folder
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex
from tests.fixtures.idx import idx_bytes, idx_files, labels_of, random_images, write_idx_folder


def refused(folder: Path) -> str:
    with pytest.raises(DataSetInvalid) as error:
        idx_folder(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("gz", [True, False])
def test_idx_folder_is_read_gzipped_or_plain(tmp_path: Path, gz: bool) -> None:
    """Pixels and labels come out in the order of the file, the last ones held out."""
    data = idx_folder(write_idx_folder(tmp_path / "letters", gz=gz))
    assert data.name == "letters"
    assert data.labels == ("0", "1", "2")
    kept = 48 - 48 // HOLD_OUT
    images = np.concatenate([data.train.images, data.validation.images])
    assert (len(data.train), len(data.validation), len(data.test)) == (kept, 48 - kept, 12)
    assert np.array_equal(images[..., 0], random_images(48))
    assert np.array_equal(data.test.labels, labels_of(12))
    assert (data.shape.height, data.shape.width, data.shape.channels) == (6, 6, 1)


def test_checksums_are_of_the_uncompressed_files(tmp_path: Path) -> None:
    """However a mirror gzips a file, the card names the same data."""
    zipped = idx_folder(write_idx_folder(tmp_path / "zipped")).files
    plain = idx_folder(write_idx_folder(tmp_path / "plain", gz=False)).files
    assert zipped == plain
    assert plain["train-images"] == sha256_hex(idx_files()["train-images-idx3-ubyte"])


def test_other_spelling_of_file_names_is_found(tmp_path: Path) -> None:
    """Archives that write `train-images.idx3-ubyte` are the same data set."""
    files = {name.replace("-idx", ".idx"): raw for name, raw in idx_files().items()}
    assert len(idx_folder(write_idx_folder(tmp_path, files)).test) == 12


def test_label_numbers_with_gaps_become_consecutive_ids(tmp_path: Path) -> None:
    """Labels 3, 7 and 26 are the ids 0, 1, 2 and keep their names."""
    files = idx_files()
    files["train-labels-idx1-ubyte"] = idx_bytes(labels_of(48, (3, 7, 26)))
    files["t10k-labels-idx1-ubyte"] = idx_bytes(labels_of(12, (26, 3)))
    data = idx_folder(write_idx_folder(tmp_path, files))
    assert data.labels == ("3", "7", "26")
    assert data.test.labels.tolist() == [2, 0] * 6


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"

BROKEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "magic": (
        IMAGES,
        lambda raw: b"\x00\x00\x0d\x03" + raw[4:],
        "not with the IDX magic 0x00000803",
    ),
    "labels_as_images": (IMAGES, lambda _: idx_bytes(labels_of(48)), "begins with 0x00000801"),
    "truncated": (IMAGES, lambda raw: raw[:-1], "is truncated"),
    "inside_header": (IMAGES, lambda raw: raw[:9], "ends inside its header"),
    "empty": (IMAGES, lambda _: b"", "begins with 0x,"),
    "too_long": (LABELS, lambda raw: raw + b"\x00", "is not what its header says"),
    "more_than_told": (
        IMAGES,
        lambda raw: raw + bytes(1 << 20),
        "sizes [48, 6, 6] ask for 1728 bytes, found more",
    ),
    "told_too_much": (
        IMAGES,
        lambda raw: raw[:4] + b"\x7f\xff\xff\xff" * 3 + raw[16:],
        f"bytes; at most {4 << 30}",
    ),
    "no_images": (IMAGES, lambda _: idx_bytes(random_images(0)), "is not what its header says"),
    "negative_size": (LABELS, lambda raw: raw[:4] + b"\xff" * 4 + raw[8:], "not what its header"),
    "fewer_labels": (LABELS, lambda _: idx_bytes(labels_of(47)), "48 train images but 47 labels"),
    "unlearned_label": (
        "t10k-labels-idx1-ubyte",
        lambda _: idx_bytes(labels_of(12, (0, 9))),
        "the test split has labels that the train split lacks",
    ),
    "too_wide": (
        IMAGES,
        lambda _: idx_bytes(np.zeros((48, 1, 1025), np.uint8)),
        "images of 1 x 1025 pixels; at most 1024 x 1024",
    ),
    "other_size": (
        "t10k-images-idx3-ubyte",
        lambda _: idx_bytes(random_images(12, side=7)),
        "train images are (6, 6, 1), test images (7, 7, 1)",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_idx_folder_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    """Wrong magic, truncation and counts that differ are told apart and named."""
    name, broken, words = BROKEN[fault]
    files = idx_files()
    files[name] = broken(files[name])
    assert words in refused(write_idx_folder(tmp_path, files))


@pytest.mark.parametrize("keep", [10, 40])
def test_truncated_gzip_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    """A download cut off within the gzip stream is told, not raised as a gzip error."""
    path = write_idx_folder(tmp_path) / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:keep])
    assert re.search(rf"{IMAGES}\.gz cannot be read: .+", refused(tmp_path))


def test_missing_file_and_missing_folder_are_named(tmp_path: Path) -> None:
    """A wrong --data says what it looked for."""
    write_idx_folder(tmp_path)
    (tmp_path / f"{LABELS}.gz").unlink()
    assert f"has no {LABELS}.gz" in refused(tmp_path)
    assert "is not a folder" in refused(tmp_path / "nowhere")


def test_one_training_image_is_refused(tmp_path: Path) -> None:
    """With one image nothing is left to learn from once validation has its own."""
    files = idx_files(train=1) | {"t10k-labels-idx1-ubyte": idx_bytes(labels_of(12, (0,)))}
    assert "one training image is too few" in refused(write_idx_folder(tmp_path, files))


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    """A browser that unpacked a .gz and kept its name does no harm, nor the other way round."""
    raw = idx_bytes(random_images(3))
    (tmp_path / "a.gz").write_bytes(raw)
    (tmp_path / "b").write_bytes(gzip.compress(raw))
    assert np.array_equal(
        read_idx(tmp_path / "a.gz", dimensions=3).array,
        read_idx(tmp_path / "b", dimensions=3).array,
    )


def test_digits_need_no_network_and_use_the_whole_grey_scale() -> None:
    """scikit-learn's digits are 1,797 images of 8x8 in 0..255 with ten labels."""
    data = digits()
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert data.train.images.max() == 255
    assert data.train.images.min() == 0
    assert data.labels == tuple("0123456789")
    assert data.train.images.shape[1:] == (8, 8, 1)
