"""Label names and ids: what a source calls its classes, as the decoder card writes them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from export.data import LabelIds
from service.contract.card import Label
from service.contract.errors import DataSetInvalid

_LABEL: TypeAdapter[str] = TypeAdapter(Label)

#: Numbers or strings, one per image.
Told = npt.NDArray[Any]


@dataclass(frozen=True)
class Labelling:
    """Label names in the order of their ids, and how the source's own labels become ids.

    A label without a training image is none: a decoder could not learn to draw it.
    """

    source: str
    names: tuple[str, ...]
    _values: Told  # the source's labels, sorted
    _ids: LabelIds  # of _values

    def ids(self, told: Told, *, split: str) -> LabelIds:
        """Raises DataSetInvalid for labels that no training image has."""
        unlearned = np.setdiff1d(told, self._values)
        if len(unlearned):
            raise DataSetInvalid(
                f"{self.source}: the {split} split has labels that the train split lacks: "
                + ", ".join(str(value) for value in unlearned[:5])
            )
        return self._ids[np.searchsorted(self._values, told)]


def by_number(source: str, train: Told, *, names: Sequence[str] | None = None) -> Labelling:
    """Ids follow the numbers; a number's name is `names[number]`, or else the number.

    Raises DataSetInvalid.
    """

    def name_of(number: int) -> str:
        if names is None:
            return str(number)
        if not 0 <= number < len(names):
            raise DataSetInvalid(f"{source}: label {number} has no name; there are {len(names)}")
        return names[number]

    return _labelling(source, np.unique(train), lambda value: name_of(int(value)), key=int)


def by_name(source: str, train: Told, *, order: Sequence[str] | None = None) -> Labelling:
    """Ids follow `order`; without it numbers are sorted as numbers, before other names.

    Raises DataSetInvalid.
    """

    def place(name: str) -> tuple[bool, int, str]:
        if order is None:
            return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
        if name not in order:
            raise DataSetInvalid(f"{source}: label {name!r} is not among its label names")
        return (False, order.index(name), name)

    return _labelling(source, np.unique(train), str, key=lambda value: place(str(value)))


def checked_label(name: str, source: str) -> str:
    """`name`, if archives and cards can carry it. Raises DataSetInvalid, with a name that would do."""
    try:
        return _LABEL.validate_python(name)
    except ValidationError as error:
        near = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:64]
        raise DataSetInvalid(
            f"{source}: {name!r} cannot be a label; rename it"
            + (f", for example to {near}" if near else "")
            + " (letters, digits, - and _, at most 64, the first a letter or digit)"
        ) from error


def _labelling(
    source: str, values: Told, name_of: Callable[[Any], str], *, key: Callable[[Any], Any]
) -> Labelling:
    order = sorted(range(len(values)), key=lambda place: key(values[place]))
    names = tuple(checked_label(name_of(values[place]), source) for place in order)
    if len(set(names)) < len(names):
        raise DataSetInvalid(f"{source}: two labels have the same name")
    # The inverse of a permutation: the id of each value.
    return Labelling(source, names, values, np.argsort(np.array(order, np.int64)))
