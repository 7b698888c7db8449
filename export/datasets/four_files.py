"""Training and test images with their label numbers: the four files in which MNIST and its kin come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from export.data import DataSet, Split, data_set
from export.datasets.labels import by_number
from export.datasets.published import EMNIST_LABELS, IDX_SETS
from export.idx import Bytes, IdxFile
from service.contract.errors import DataSetInvalid

#: Reads one of the four files: its part (`train`, `t10k`) and kind (`images`, `labels`).
Read = Callable[[str, str], IdxFile]

DIMENSIONS = {"images": 3, "labels": 1}


def mnist_files(
    read: Read, where: str, *, name: str, labels: tuple[str, ...] | None = None
) -> DataSet:
    """`train` and `t10k`; `labels` by number, if not given those of a set known by its label files.

    `where` is what errors name. Raises DataSetInvalid.
    """
    parts = [_part(read, part, where) for part in ("train", "t10k")]
    return _data_set(name, where, parts, labels or _known_labels(parts))


def emnist_files(split: str, read: Read, where: str, *, name: str) -> DataSet:
    """One split of EMNIST, its images turned upright: the files hold them transposed.

    Cohen and others 2017, arXiv:1702.05373. Raises DataSetInvalid.
    """
    if split not in EMNIST_LABELS:
        raise DataSetInvalid(f"{where}: EMNIST has no split {split}; {', '.join(EMNIST_LABELS)}")
    parts = [_part(read, f"emnist-{split}-{part}", where) for part in ("train", "test")]
    return _data_set(name, where, parts, EMNIST_LABELS[split], transposed=True)


@dataclass(frozen=True)
class _Part:
    """Images [N, H, W] and label numbers [N]."""

    name: str
    images: IdxFile
    labels: IdxFile


def _part(read: Read, name: str, where: str) -> _Part:
    part = _Part(name, read(name, "images"), read(name, "labels"))
    images, labels = len(part.images.array), len(part.labels.array)
    if images != labels:
        raise DataSetInvalid(f"{where}: {images} {name} images but {labels} labels")
    return part


def _data_set(
    name: str,
    where: str,
    parts: Sequence[_Part],
    names: tuple[str, ...] | None,
    *,
    transposed: bool = False,
) -> DataSet:
    train, test = parts
    labelling = by_number(where, train.labels.array, names=names)
    splits = [
        Split(
            _upright(part.images.array, transposed), labelling.ids(part.labels.array, split=split)
        )
        for part, split in ((train, "train"), (test, "test"))
    ]
    sums = {
        f"{part.name}-{kind}": file.sha256
        for part in parts
        for kind, file in (("images", part.images), ("labels", part.labels))
    }
    return data_set(name, train=splits[0], test=splits[1], labels=labelling.names, files=sums)


def _upright(images: Bytes, transposed: bool) -> Bytes:
    """[N, H, W] or [N, W, H] to [N, H, W, 1]."""
    return (np.ascontiguousarray(images.transpose(0, 2, 1)) if transposed else images)[..., None]


def _known_labels(parts: Sequence[_Part]) -> tuple[str, ...] | None:
    for published in IDX_SETS.values():
        if all(
            {part.labels.sha256, part.labels.stored_sha256} & published.label_sums for part in parts
        ):
            return published.labels
    return None
