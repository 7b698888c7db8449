"""How well a classifier reads real images: shares of the test split."""

import numpy as np
import numpy.typing as npt

from export.data import LabelIds
from export.evaluation.figures import Figure
from service.contract.value import Value

Table = npt.NDArray[np.int64]


class Reading(Value):
    """The share of `images` real test images read right, in all and of each label."""

    accuracy: Figure
    per_label: dict[str, Figure]
    images: int


def reading_of(read: LabelIds, labels: LabelIds, names: tuple[str, ...]) -> Reading:
    """Compare what was read with what is there; labels without a test image are left out."""
    right = read == labels
    per_label = {
        name: float(right[labels == label_id].mean())
        for label_id, name in enumerate(names)
        if (labels == label_id).any()
    }
    return Reading(accuracy=float(right.mean()), per_label=per_label, images=len(labels))


def confusion(asked: LabelIds, read: LabelIds, labels: int) -> Table:
    """How often label i was asked and label j read: int64 [labels, labels]."""
    return np.bincount(asked * labels + read, minlength=labels**2).reshape(labels, labels)
