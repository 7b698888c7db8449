"""Where data sets come from: IDX folders, MNIST by download, scikit-learn's digits offline."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from export.data import DataSet, Split, data_set, unconditional
from export.idx import Bytes, IdxFile, read_idx
from export.mnist import fetch_mnist
from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

__all__ = ["digits", "idx_folder", "open_data", "unconditional"]

_DIMENSIONS = {"images": 3, "labels": 1}
#: The original spelling of the file names and that of some archives.
_SPELLINGS = ("{part}-{kind}-idx{dimensions}-ubyte", "{part}-{kind}.idx{dimensions}-ubyte")


def open_data(source: str, *, cache: Path) -> DataSet:
    """`digits`, `mnist` (downloaded once, into `cache`) or an IDX folder. Raises DataSetInvalid."""
    if source == "digits":
        return digits()
    if source == "mnist":
        return idx_folder(fetch_mnist(cache / "mnist"))
    return idx_folder(Path(source))


def digits() -> DataSet:
    """The 1,797 digits of 8x8 pixels that scikit-learn carries; the last 297 are the test split."""
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255, [1797, 8, 8]
    labels = bunch.target.astype(np.uint8)
    files = {"sklearn.datasets.load_digits": sha256_hex(images.tobytes() + labels.tobytes())}
    train, test = (images[:1500], labels[:1500]), (images[1500:], labels[1500:])
    return _labelled("digits", train, test, files)


def idx_folder(folder: Path) -> DataSet:
    """A folder with MNIST's four files, gzipped or plain. Raises DataSetInvalid."""
    if not folder.is_dir():
        raise DataSetInvalid(
            f"{folder} is not a folder; --data takes digits, mnist or a folder of IDX files"
        )
    parts = {part: {kind: _read(folder, part, kind) for kind in _DIMENSIONS} for part in _PARTS}
    train, test = (_pair(parts[part], part, folder) for part in _PARTS)
    files = {f"{part}-{kind}": parts[part][kind].sha256 for part in _PARTS for kind in _DIMENSIONS}
    return _labelled(folder.resolve().name, train, test, files)


_PARTS = ("train", "t10k")


def _read(folder: Path, part: str, kind: str) -> IdxFile:
    dimensions = _DIMENSIONS[kind]
    stems = [name.format(part=part, kind=kind, dimensions=dimensions) for name in _SPELLINGS]
    for path in (folder / f"{stem}{suffix}" for stem in stems for suffix in (".gz", "")):
        if path.exists():
            return read_idx(path, dimensions=dimensions)
    raise DataSetInvalid(f"{folder} has no {stems[0]}.gz (nor the same file without .gz)")


def _pair(files: Mapping[str, IdxFile], part: str, folder: Path) -> tuple[Bytes, Bytes]:
    images, labels = files["images"].array, files["labels"].array
    if len(images) != len(labels):
        raise DataSetInvalid(f"{folder}: {len(images)} {part} images but {len(labels)} labels")
    return images, labels


def _labelled(
    name: str, train: tuple[Bytes, Bytes], test: tuple[Bytes, Bytes], files: Mapping[str, str]
) -> DataSet:
    """Grey images [N, H, W] with label numbers [N]; the label's number is its name."""
    numbers = np.unique(train[1])  # sorted, so that ids follow the numbers
    if not np.isin(test[1], numbers).all():
        raise DataSetInvalid(f"{name}: the test split has labels that the train split lacks")
    splits = [
        Split(images[..., None], np.searchsorted(numbers, labels).astype(np.int64))
        for images, labels in (train, test)
    ]
    labels = tuple(str(number) for number in numbers)
    return data_set(name, train=splits[0], test=splits[1], labels=labels, files=files)
