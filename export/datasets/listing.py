"""Which files of a folder are the pictures of a data set, and what label each folder gives them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export.datasets.labels import checked_label
from export.datasets.picture import SUFFIXES
from service.contract.errors import DataSetInvalid

#: Files that lie beside pictures by custom and say nothing that is needed here.
_EXPECTED = {"metadata.csv", "thumbs.db", "desktop.ini", "__macosx"}
_VALIDATION = ("validation", "val")


@dataclass(frozen=True)
class PictureFile:
    """A picture's path, and the label that its folder gives it; None where there are no labels."""

    path: Path
    label: str | None


@dataclass(frozen=True)
class Listing:
    """Picture files by split, in the order of their names; without `test`, train holds them all.

    `skipped` are files that are no pictures by their names.
    """

    train: tuple[PictureFile, ...]
    validation: tuple[PictureFile, ...] | None
    test: tuple[PictureFile, ...] | None
    skipped: tuple[Path, ...]


def list_pictures(root: Path) -> Listing:
    """`root/<label>/*`, `root/*`, or either below `root/train` and `root/test`.

    Raises DataSetInvalid: which folder, and how it should look.
    """
    skipped: list[Path] = []
    beside: list[Path] = []
    folders, pictures = _contents(root, beside)
    names = {folder.name for folder in folders}
    if not {"train", "test"} <= names:
        _check_whole(folders, names)
        return Listing(tuple(_labelled(root, skipped)), None, None, tuple(skipped))
    validation = next((name for name in _VALIDATION if name in names), None)
    others = [path for path in folders + pictures if path.name not in ("train", "test", validation)]
    if others:
        raise DataSetInvalid(
            f"{root} holds train and test, and beside them {others[0].name}: move it"
        )
    train, test = (tuple(_labelled(root / name, skipped)) for name in ("train", "test"))
    held_out = tuple(_labelled(root / validation, skipped)) if validation else None
    return Listing(train, held_out, test, tuple(beside + skipped))


def _check_whole(folders: list[Path], names: set[str]) -> None:
    """`train` with folders inside is a split, not a label: then `test` is what is missing."""
    for folder in folders:
        if folder.name in ("train", "test") and _contents(folder, [])[0]:
            missing = {"train": "test", "test": "train"}[folder.name]
            near = next((name for name in _VALIDATION if name in names), None)
            raise DataSetInvalid(
                f"{folder.parent} has a folder {folder.name} but no {missing} beside it"
                + (f"; rename {near} to {missing}" if near else "")
            )


def _labelled(root: Path, skipped: list[Path]) -> Iterator[PictureFile]:
    folders, pictures = _contents(root, skipped)
    if folders and pictures:
        raise DataSetInvalid(
            f"{root} holds both folders and pictures ({pictures[0].name}): put every picture into "
            "the folder of its label"
        )
    if not folders and not pictures:
        raise DataSetInvalid(f"{root} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    yield from (PictureFile(path, None) for path in pictures)
    for folder in folders:
        yield from _of_label(folder, skipped)


def _of_label(folder: Path, skipped: list[Path]) -> Iterator[PictureFile]:
    label = checked_label(folder.name, str(folder))
    folders, pictures = _contents(folder, skipped)
    if folders:
        raise DataSetInvalid(
            f"{folder} holds a folder ({folders[0].name}): a label's folder holds pictures only"
        )
    if not pictures:
        raise DataSetInvalid(f"{folder} holds no pictures: delete it, or put some into it")
    yield from (PictureFile(path, label) for path in pictures)


def _contents(folder: Path, skipped: list[Path]) -> tuple[list[Path], list[Path]]:
    """Folders and pictures in the order of their names, without hidden ones."""
    try:
        paths = sorted(path for path in folder.iterdir() if not _is_expected(path.name))
    except OSError as error:
        raise DataSetInvalid(f"{folder} cannot be read: {error.strerror or error}") from error
    folders: list[Path] = []
    pictures: list[Path] = []
    for path in paths:
        kind = folders if path.is_dir() else pictures if _is_named_picture(path) else skipped
        kind.append(path)
    return folders, pictures


def _is_named_picture(path: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES:
        return False
    if not path.is_file():
        raise DataSetInvalid(f"{path} is a broken link or no plain file: delete it")
    return True


def _is_expected(name: str) -> bool:
    return name.startswith(".") or name.lower() in _EXPECTED
