"""Pictures read into arrays, all of one size and kind."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from export.datasets.picture import read_picture
from export.datasets.shaping import MOST_SIDE, Shaping, pixels, shaped_picture, size_in_words
from export.idx import MOST_BYTES, Bytes
from service.contract.errors import DataSetInvalid


class PictureReader:
    """Reads pictures below `root`, with a progress bar while entered, and keeps their sums."""

    def __init__(
        self, root: Path, shaping: Shaping, pictures: Sequence[Path], *, console: Console
    ) -> None:
        """The first of `pictures` decides size and kind for all. Raises DataSetInvalid."""
        self._root, self._shaping, self._first = root, shaping, pictures[0]
        self._shape = self._pixels(self._first)[0].shape
        _check_fits(self._first, self._shape, len(pictures))
        self._sums: dict[str, str] = {}
        self.bar = Progress(console=console, disable=console.quiet)
        self._task = self.bar.add_task(f"Reading {root.name}", total=len(pictures))

    def read(self, paths: Sequence[Path]) -> Bytes:
        """uint8 [N, H, W, C]. Raises DataSetInvalid: which file, and what to do about it."""
        images = np.empty((len(paths), *self._shape), np.uint8)
        for row, path in enumerate(paths):
            images[row], self._sums[path.relative_to(self._root).as_posix()] = self._fitting(path)
            self.bar.advance(self._task)
        return images

    def digest(self) -> str:
        """One sha256 over what was read: lines of sha256, two spaces and name, sorted by name."""
        lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(self._sums.items())]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def _fitting(self, path: Path) -> tuple[Bytes, str]:
        array, sha256 = self._pixels(path)
        if array.shape != self._shape:
            option = "--size" if array.shape[:2] != self._shape[:2] else "--channels"
            raise DataSetInvalid(
                f"{path} is {size_in_words(array.shape)}, but {self._first} is "
                f"{size_in_words(self._shape)}: make them alike, or give {option}"
            )
        return array, sha256

    def _pixels(self, path: Path) -> tuple[Bytes, str]:
        picture = read_picture(path)
        return pixels(shaped_picture(picture.image, self._shaping)), picture.sha256


def _check_fits(first: Path, shape: Sequence[int], count: int) -> None:
    if max(shape) > MOST_SIDE:
        raise DataSetInvalid(
            f"{first} is {size_in_words(shape)}; at most {MOST_SIDE} x {MOST_SIDE} are trained on: "
            "give --size"
        )
    if count * int(np.prod(shape)) > MOST_BYTES:
        raise DataSetInvalid(
            f"{count} images of {size_in_words(shape)} are more than {MOST_BYTES} bytes: "
            "give a smaller --size"
        )
