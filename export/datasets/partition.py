"""Which images are held out, where a source has no order to trust: decided by a hash of each key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.contract.errors import DataSetInvalid

Rows = npt.NDArray[np.int64]

#: One image in this many is held out for validation, as 5,000 of MNIST's 60,000.
HOLD_OUT = 12
#: One image in this many is a test image where a source has no test split, as in MNIST.
TEST = 7


@dataclass(frozen=True)
class Partition:
    """Row numbers of three splits; together every row once, each split in a mixed order."""

    train: Rows
    validation: Rows
    test: Rows


def three_splits(source: str, keys: Sequence[str], labels: Rows) -> Partition:
    """Rows of a source that has no splits of its own. Raises DataSetInvalid: too few images."""
    rest, test = hold_out(keys, labels, one_in=TEST)
    learned, held_out = hold_out([keys[row] for row in rest], labels[rest], one_in=HOLD_OUT)
    if not (len(test) and len(held_out)):
        raise _too_few(source, keys)
    return Partition(rest[learned], rest[held_out], test)


def two_splits(source: str, keys: Sequence[str], labels: Rows) -> tuple[Rows, Rows]:
    """Rows for training and validation. Raises DataSetInvalid: too few images."""
    learned, held_out = hold_out(keys, labels, one_in=HOLD_OUT)
    if not len(held_out):
        raise _too_few(source, keys)
    return learned, held_out


def _too_few(source: str, keys: Sequence[str]) -> DataSetInvalid:
    return DataSetInvalid(
        f"{source}: {len(keys)} images are too few to hold some out; a label needs at least two, "
        "three where there is no test split"
    )


def mixed(keys: Sequence[str]) -> Rows:
    """All rows in the order of the sha256 of their keys, in which no numbering shows."""
    return np.array(sorted(range(len(keys)), key=lambda row: _digest(keys[row])), np.int64)


def hold_out(keys: Sequence[str], labels: Rows, *, one_in: int) -> tuple[Rows, Rows]:
    """Rows kept and rows held out: of each label with two images or more, one in `one_in`.

    Rows are ordered by the sha256 of their key (a file's name, an array's row number), so that
    neither an order by label nor a numbering shows, and the same source always splits the same way.
    """
    order = mixed(keys)
    ranked = labels[order]
    held_out = np.zeros(len(order), bool)
    for label in np.unique(ranked):
        places = np.flatnonzero(ranked == label)
        share = max(1, len(places) // one_in) if len(places) > 1 else 0
        held_out[places[len(places) - share :]] = True
    return order[~held_out], order[held_out]


def row_keys(rows: int) -> list[str]:
    """Keys for images without names: their row numbers."""
    return [str(row) for row in range(rows)]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
