"""Data sets to train on: an IDX folder, MNIST by download, scikit-learn's digits offline."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from export.idx import Bytes, IdxFile, read_idx
from export.mnist import fetch_mnist
from service.contract.card import ImageShape
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

LabelIds = npt.NDArray[np.int64]

#: One training image in this many is held out for validation, the last ones of the file.
HOLD_OUT = 12
#: Both spellings are found: the original one and that of some archives.
_SPELLINGS = ("{part}-{kind}-idx{dimensions}-ubyte", "{part}-{kind}.idx{dimensions}-ubyte")


@dataclass(frozen=True)
class Split:
    """`images` uint8 [N, H, W, C] and their label ids, int64 [N]."""

    images: Bytes
    labels: LabelIds

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """Three splits, label names in the order of their ids, and the sha256 of every source file."""

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    files: Mapping[str, str]

    @property
    def shape(self) -> ImageShape:
        _, height, width, channels = self.train.images.shape
        return ImageShape(height=height, width=width, channels=channels)


def open_data(source: str, *, cache: Path) -> DataSet:
    """`digits`, `mnist` (downloaded once, into `cache`) or an IDX folder. Raises DataSetInvalid."""
    if source == "digits":
        return digits()
    if source == "mnist":
        return idx_folder(fetch_mnist(cache / "mnist"), name="mnist")
    return idx_folder(Path(source))


def digits() -> DataSet:
    """The 1,797 digits of 8x8 pixels that scikit-learn carries; the last 297 are the test split."""
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255, [1797, 8, 8]
    labels = bunch.target.astype(np.uint8)
    files = {"sklearn.datasets.load_digits": sha256_hex(images.tobytes() + labels.tobytes())}
    return _data_set(
        "digits", (images[:1500], labels[:1500]), (images[1500:], labels[1500:]), files
    )


def idx_folder(folder: Path, *, name: str | None = None) -> DataSet:
    """A folder with MNIST's four files, gzipped or plain. Raises DataSetInvalid."""
    if not folder.is_dir():
        raise DataSetInvalid(
            f"{folder} is not a folder; --data takes digits, mnist or a folder of IDX files"
        )
    found = {
        f"{part}-{kind}": _read(folder, part, kind)
        for part in ("train", "t10k")
        for kind in _DIMENSIONS
    }
    train, test = _pair(found, "train", folder), _pair(found, "t10k", folder)
    files = {stem: idx.sha256 for stem, idx in found.items()}
    return _data_set(name or folder.resolve().name, train, test, files)


_DIMENSIONS = {"images": 3, "labels": 1}


def _read(folder: Path, part: str, kind: str) -> IdxFile:
    stems = [s.format(part=part, kind=kind, dimensions=_DIMENSIONS[kind]) for s in _SPELLINGS]
    for path in (folder / f"{stem}{suffix}" for stem in stems for suffix in (".gz", "")):
        if path.exists():
            return read_idx(path, dimensions=_DIMENSIONS[kind])
    raise DataSetInvalid(f"{folder} has no {stems[0]}.gz (nor the same file without .gz)")


def _pair(found: Mapping[str, IdxFile], part: str, folder: Path) -> tuple[Bytes, Bytes]:
    images, labels = found[f"{part}-images"].array, found[f"{part}-labels"].array
    if len(images) != len(labels):
        raise DataSetInvalid(f"{folder}: {len(images)} {part} images but {len(labels)} labels")
    return images, labels


def _data_set(
    name: str, train: tuple[Bytes, Bytes], test: tuple[Bytes, Bytes], files: Mapping[str, str]
) -> DataSet:
    classes = np.unique(train[1])  # sorted, so ids follow the label numbers
    if not np.isin(test[1], classes).all():
        raise DataSetInvalid(f"{name}: the test split has labels that the train split lacks")
    if train[0].shape[1:] != test[0].shape[1:]:
        raise DataSetInvalid(
            f"{name}: train images are {train[0].shape[1:]}, test images {test[0].shape[1:]}"
        )
    learned, held_out = _hold_out(_split(*train, classes))
    return DataSet(name, tuple(map(str, classes)), learned, held_out, _split(*test, classes), files)


def _split(images: Bytes, labels: Bytes, classes: Bytes) -> Split:
    return Split(images[..., None], np.searchsorted(classes, labels).astype(np.int64))


def _hold_out(split: Split) -> tuple[Split, Split]:
    kept = len(split) - max(1, len(split) // HOLD_OUT)
    if kept < 1:
        raise DataSetInvalid("one training image is too few: one is held out for validation")
    return (
        Split(split.images[:kept], split.labels[:kept]),
        Split(split.images[kept:], split.labels[kept:]),
    )
