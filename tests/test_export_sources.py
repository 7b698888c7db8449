"""One way to say where training data come from: a name, a folder or a file."""

from pathlib import Path

import numpy as np
import pytest

from export.data import unconditional
from export.sources import NAMES, digits, idx_folder, open_data
from service.contract.errors import DataSetInvalid
from tests.fixtures.idx import idx_bytes, idx_files, labels_of, write_idx_folder
from tests.fixtures.pictures import write_labelled

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def refused(source: str | Path, **options: object) -> str:
    with pytest.raises(DataSetInvalid) as error:
        open_data(str(source), cache=Path("nowhere"), **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_folders_are_known_by_what_they_hold(tmp_path: Path) -> None:
    """IDX files or pictures: nobody has to say which; a `~` is the home folder."""
    assert open_data("digits", cache=tmp_path).name == "digits"
    assert open_data(str(write_idx_folder(tmp_path / "own")), cache=tmp_path).name == "own"
    pets = write_labelled(tmp_path / "pets", {"cat": 6})
    assert open_data(str(pets), cache=tmp_path).labels == ("cat",)


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data=~/own` reaches the product unexpanded by most shells."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_idx_folder(tmp_path / "own")
    assert open_data("~/own", cache=tmp_path).name == "own"


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    """A typing error is met with the nearest name and all others."""
    told = refused("fashon-mnist")
    assert "did you mean fashion-mnist? Known by name: digits, mnist," in told
    assert all(name in told for name in NAMES)
    assert "did you mean" not in refused(tmp_path / "nowhere")


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    """An archive is not unpacked for anybody, and says so."""
    (tmp_path / "a.zip").write_text("")
    assert "is neither a folder nor an .npz file; unpack" in refused(tmp_path / "a.zip")


def test_size_and_channels_are_for_every_source(tmp_path: Path) -> None:
    """Digits and IDX images are resampled as pictures are; without a wish nothing is copied."""
    data = open_data("digits", cache=tmp_path, size=(16, 12), channels=3)
    assert data.train.images.shape[1:] == (16, 12, 3)
    assert (data.shape.height, data.shape.width, data.shape.channels) == (16, 12, 3)
    assert np.array_equal(data.train.images[..., 0], data.train.images[..., 2])
    assert len(data.test) == 297
    same = open_data("digits", cache=tmp_path, size=(8, 8), channels=1)
    assert np.array_equal(same.train.images, digits().train.images)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 8)}, "size 0 x 8: each side is from 1 to 1024"),
        ({"size": (8, 1025)}, "size 8 x 1025: each side is from 1 to 1024"),
        ({"channels": 2}, "2 channels: 1 (grey) or 3 (RGB)"),
    ],
)
def test_impossible_forms_are_refused(options: dict[str, object], words: str) -> None:
    """No decoder has images of that size or so many channels."""
    assert words in refused("digits", **options)


def test_unconditional_shares_the_images_and_forgets_the_labels() -> None:
    """An unconditional decoder learns from the same pixels: no copy, no names, ids all zero."""
    data = digits()
    plain = unconditional(data)
    assert plain.labels == ()
    assert plain.train.images is data.train.images
    assert not plain.train.labels.any()
    assert not plain.test.labels.any()
    assert plain.files == data.files


def test_idx_files_sorted_by_label_validate_on_every_label(tmp_path: Path) -> None:
    """Where the end of the file shows one label only, some of each label are held out instead."""
    files = idx_files()
    files["train-labels-idx1-ubyte"] = idx_bytes(np.sort(labels_of(48)))
    data = idx_folder(write_idx_folder(tmp_path, files))
    assert (len(data.train), np.bincount(data.validation.labels).tolist()) == (45, [1, 1, 1])


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST in ../shared/data/mnist")
def test_mnist_keeps_the_end_of_its_file_for_validation() -> None:
    """The committed decoder was trained on the first 55,000 images: another split is another decoder."""
    data = open_data(str(MNIST), cache=Path("nowhere"))
    assert (len(data.train), len(data.validation), len(data.test)) == (55_000, 5_000, 10_000)
    assert data.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.labels == tuple("0123456789")
