"""Where data sets come from: a name, a folder of IDX files or pictures, or an NPZ file."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from rich.console import Console

from export.data import DataSet, unconditional
from export.datasets.digits import digits
from export.datasets.download import fetch
from export.datasets.emnist import emnist
from export.datasets.idx_folder import idx_folder, is_idx_folder, published_folder
from export.datasets.image_folder import image_folder
from export.datasets.npz import npz
from export.datasets.published import EMNIST_LABELS, EMNIST_MIRRORS, EMNIST_ZIP, IDX_SETS, Published
from export.datasets.shaping import Shaping, shaped
from service.contract.errors import DataSetInvalid

__all__ = ["NAMES", "digits", "idx_folder", "open_data", "unconditional"]


def open_data(
    source: str,
    *,
    cache: Path,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    console: Console | None = None,
) -> DataSet:
    """A data set by its name (one of `NAMES`), a folder of IDX files or images, or a `.npz` file.

    Named sets are downloaded once, into `cache`. `size` (height, width) in pixels and `channels`
    (1 grey, 3 RGB) bring all images to one form; progress and what was skipped go to `console`.
    Raises DataSetInvalid, in one line which says what to do.
    """
    shaping, console = Shaping(size, channels), console or Console(quiet=True)
    if source == "digits":
        return shaped(digits(), shaping)
    if source in _NAMED:
        return shaped(_NAMED[source](cache, console), shaping)
    return shaped(_opened(Path(source).expanduser(), source, shaping, console), shaping)


def _opened(path: Path, source: str, shaping: Shaping, console: Console) -> DataSet:
    if path.is_dir():
        return (
            idx_folder(path)
            if is_idx_folder(path)
            else image_folder(path, shaping, console=console)
        )
    if path.is_file() and path.suffix.lower() == ".npz":
        return npz(path)
    if path.exists():
        raise DataSetInvalid(
            f"{path} is neither a folder nor an .npz file; unpack an archive, and give the folder"
        )
    raise DataSetInvalid(f"no data set, folder or .npz file {source!r}; {_known(source)}")


def _known(source: str) -> str:
    near = get_close_matches(source, NAMES, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"Known by name: {', '.join(NAMES)}"


def _published(published: Published, cache: Path, console: Console) -> DataSet:
    folder = cache / published.name
    fetch(folder, published.files, published.mirrors, console=console)
    return published_folder(published, folder)


def _emnist(split: str, cache: Path, console: Console) -> DataSet:
    folder = fetch(cache / "emnist", EMNIST_ZIP, EMNIST_MIRRORS, console=console)
    return emnist(folder / "gzip.zip", split)


_NAMED: dict[str, Callable[[Path, Console], DataSet]] = {
    **{name: partial(_published, published) for name, published in IDX_SETS.items()},
    **{f"emnist-{split}": partial(_emnist, split) for split in EMNIST_LABELS},
}

#: The data sets known by name.
NAMES = ("digits", *_NAMED)
