"""A folder of pictures as a data set: a folder per label, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from export.data import DataSet, LabelIds, Split, data_set
from export.datasets.labels import Labelling, Told, by_name
from export.datasets.listing import Listing, PictureFile, list_pictures
from export.datasets.partition import Rows, mixed, three_splits, two_splits
from export.datasets.picture_reader import PictureReader
from export.datasets.shaping import Shaping
from service.contract.errors import DataSetInvalid

#: File names told, of those that are no pictures.
_TOLD = 3


def image_folder(folder: Path, shaping: Shaping, *, console: Console) -> DataSet:
    """Pictures of one size and kind, or brought to one by `shaping`.

    Without a test folder one picture in 7 of each label is a test picture, without a validation
    folder one in 12 of the rest is held out, both by the sha256 of the files' names (see
    `export.datasets.partition`). Raises DataSetInvalid.
    """
    listing = list_pictures(folder)
    _tell_skipped(listing, folder, console)
    labelling = _labelling(folder, listing.train)
    parts = _parts(folder, listing, labelling)
    paths = [path for part in parts for path in part.paths]
    reader = PictureReader(folder, shaping, paths, console=console)
    with reader.bar:
        train, validation, test = (Split(reader.read(part.paths), part.ids) for part in parts)
    return data_set(
        folder.resolve().name,
        train=train,
        validation=validation,
        test=test,
        labels=labelling.names if labelling else (),
        files={"images": reader.digest()},
    )


@dataclass(frozen=True)
class _Part:
    """Pictures of one split with their label ids."""

    paths: Sequence[Path]
    ids: LabelIds

    def rows(self, rows: Rows) -> "_Part":
        return _Part([self.paths[row] for row in rows], self.ids[rows])

    def keys(self, root: Path) -> list[str]:
        return [path.relative_to(root).as_posix() for path in self.paths]


def _parts(root: Path, listing: Listing, labelling: Labelling | None) -> list[_Part]:
    """Training, validation, test; each in an order that mixes the labels."""
    train = _part(root, listing.train, labelling, "train")
    if listing.test is None:
        rows = three_splits(str(root), train.keys(root), train.ids)
        return [train.rows(rows.train), train.rows(rows.validation), train.rows(rows.test)]
    test = _part(root, listing.test, labelling, "test")
    test = test.rows(mixed(test.keys(root)))
    if listing.validation is None:
        learned, held_out = two_splits(str(root), train.keys(root), train.ids)
        return [train.rows(learned), train.rows(held_out), test]
    validation = _part(root, listing.validation, labelling, "validation")
    return [part.rows(mixed(part.keys(root))) for part in (train, validation)] + [test]


def _part(
    root: Path, files: Sequence[PictureFile], labelling: Labelling | None, split: str
) -> _Part:
    paths = [file.path for file in files]
    if (files[0].label is None) != (labelling is None):
        raise DataSetInvalid(f"{root}: train and {split} must both have label folders, or neither")
    if labelling is None:
        return _Part(paths, np.zeros(len(paths), np.int64))
    return _Part(paths, labelling.ids(_told(files), split=split))


def _labelling(root: Path, train: Sequence[PictureFile]) -> Labelling | None:
    return None if train[0].label is None else by_name(str(root), _told(train))


def _told(files: Sequence[PictureFile]) -> Told:
    return np.array([file.label for file in files])


def _tell_skipped(listing: Listing, root: Path, console: Console) -> None:
    names = [path.relative_to(root).as_posix() for path in listing.skipped]
    if names:
        more = ", …" if len(names) > _TOLD else ""
        console.print(
            f"{root}: {len(names)} files are no images by their names and were skipped: "
            f"{', '.join(names[:_TOLD])}{more}",
            markup=False,
        )
