"""An NPZ file as a data set: `images`, `labels`, `label_names`, `test_images`, `test_labels`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from export.data import DataSet, LabelIds, Split, data_set
from export.datasets.arrays import Arrays, read_arrays
from export.datasets.labels import Labelling, Told, by_name, by_number
from export.datasets.partition import Rows, mixed, row_keys, three_splits, two_splits
from export.idx import Bytes
from service.contract.errors import DataSetInvalid

#: `indexes` is in the archives that a service makes; nothing is made of it.
NAMES = ("images", "labels", "label_names", "indexes", "test_images", "test_labels")


def npz(path: Path) -> DataSet:
    """`images` uint8 [N, H, W] or [N, H, W, C], `labels` numbers or strings [N] or none at all.

    `label_names` are names by number, or the order of the names. Without `test_images` one image in
    7 of each label is a test image, and one in 12 of the rest is held out for validation, both by
    the sha256 of its row number (see `export.datasets.partition`). Raises DataSetInvalid.
    """
    arrays = read_arrays(path, NAMES)
    _check_company(path, arrays)
    labelling = _labelling(path, arrays)
    train, validation, test = _splits(path, arrays, labelling)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return data_set(
        path.stem,
        train=train,
        validation=validation,
        test=test,
        labels=labelling.names if labelling else (),
        files={path.name: sha256},
    )


def _check_company(path: Path, arrays: Arrays) -> None:
    if "images" not in arrays:
        raise DataSetInvalid(f"{path} has no array `images`; it has {', '.join(arrays) or 'none'}")
    for name, needed in (
        ("label_names", "labels"),
        ("test_labels", "test_images"),
        ("test_labels", "labels"),
    ):
        if name in arrays and needed not in arrays:
            raise DataSetInvalid(f"{path} has `{name}` but no `{needed}`")
    if "labels" in arrays and "test_images" in arrays and "test_labels" not in arrays:
        raise DataSetInvalid(f"{path} has `labels` and `test_images` but no `test_labels`")


def _splits(path: Path, arrays: Arrays, labelling: Labelling | None) -> list[Split]:
    """Training, validation, test; each in an order that mixes the labels."""
    images = _images(path, arrays, "images")
    ids = _ids(path, arrays, "labels", len(images), labelling)
    keys = row_keys(len(images))
    if "test_images" not in arrays:
        rows = three_splits(str(path), keys, ids)
        return [_rows(images, ids, part) for part in (rows.train, rows.validation, rows.test)]
    test_images = _images(path, arrays, "test_images")
    test_ids = _ids(path, arrays, "test_labels", len(test_images), labelling)
    learned, held_out = two_splits(str(path), keys, ids)
    test = _rows(test_images, test_ids, mixed(row_keys(len(test_images))))
    return [_rows(images, ids, learned), _rows(images, ids, held_out), test]


def _rows(images: Bytes, ids: LabelIds, rows: Rows) -> Split:
    return Split(images[rows], ids[rows])


def _images(path: Path, arrays: Arrays, name: str) -> Bytes:
    array = arrays[name]
    if array.dtype != np.uint8:
        raise DataSetInvalid(
            f"{path}: `{name}` are {array.dtype}, not uint8 from 0 to 255"
            + ("; multiply 0..1 by 255, round, and store uint8" if array.dtype.kind in "fb" else "")
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or not array.size:
        first = array.ndim == 4 and array.shape[1] in (1, 3)
        raise DataSetInvalid(
            f"{path}: `{name}` have the shape {arrays[name].shape}, not [N, H, W] or [N, H, W, C] "
            "with 1 or 3 channels"
            + ("; channels come last: store images.transpose(0, 2, 3, 1)" if first else "")
        )
    return np.ascontiguousarray(array)


def _labelling(path: Path, arrays: Arrays) -> Labelling | None:
    if "labels" not in arrays:
        return None
    names = _names(path, arrays) if "label_names" in arrays else None
    labels = _labels(path, arrays, "labels")
    if labels.dtype.kind == "U":
        return by_name(str(path), labels, order=names)
    return by_number(str(path), labels, names=names)


def _ids(
    path: Path, arrays: Arrays, name: str, count: int, labelling: Labelling | None
) -> LabelIds:
    if labelling is None:
        return np.zeros(count, np.int64)
    labels = _labels(path, arrays, name)
    if len(labels) != count:
        raise DataSetInvalid(f"{path}: {count} images but {len(labels)} `{name}`")
    return labelling.ids(labels, split="test" if name == "test_labels" else "train")


def _labels(path: Path, arrays: Arrays, name: str) -> Told:
    labels = arrays[name]
    kind = arrays["labels"].dtype.kind
    if (
        labels.ndim != 1
        or labels.dtype.kind not in "iuU"
        or (labels.dtype.kind == "U") != (kind == "U")
    ):
        raise DataSetInvalid(
            f"{path}: `{name}` are {labels.dtype} of the shape {labels.shape}, not one number or "
            "one string per image" + (", the same in both splits" if name != "labels" else "")
        )
    return labels


def _names(path: Path, arrays: Mapping[str, Told]) -> list[str]:
    names = arrays["label_names"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataSetInvalid(f"{path}: `label_names` are {names.dtype}, not a list of strings")
    return [str(name) for name in names]
