"""Classifiers that were trained once, kept so that an evaluation goes on where it was stopped."""

import io
import pickle
from pathlib import Path

import numpy as np
import torch

from export.data import LabelIds, Split
from export.evaluation.classifier import Classifier, empty_classifier, read
from export.evaluation.lesson import Lesson, learn
from export.evaluation.watch import Advance
from export.files import write_whole
from service.contract.card import ImageShape
from service.contract.value import canonical_json, sha256_hex
from workers.decoder import Images

#: Another number for classifiers that learn otherwise from the same lesson; forgets what is kept.
_VERSION = 1


class Lessons:
    """Trains classifiers for one shape and set of labels, each at most once per folder and machine.

    Weights are kept by the sha256 of images, labels, lesson and torch version, readings by that of the
    images read too. Without a folder nothing is kept.
    """

    def __init__(self, shape: ImageShape, labels: int, folder: Path | None) -> None:
        self._shape, self._labels, self._folder = shape, labels, folder

    def classifier(self, split: Split, lesson: Lesson, advance: Advance) -> Classifier:
        """A classifier that learned this split."""
        path = self._path("classifier", _digest(split, lesson), "pt")
        known = _loaded(path, self._shape, self._labels) if path else None
        if known:
            return known
        model = learn(split, self._shape, self._labels, lesson, advance)
        if path:
            buffer = io.BytesIO()
            torch.save(model.state_dict(), buffer)
            write_whole(path, buffer.getvalue())
        return model

    def readings(self, split: Split, lesson: Lesson, images: Images, advance: Advance) -> LabelIds:
        """What a classifier that learned this split reads in these images; its weights are not kept."""
        digest = sha256_hex((_digest(split, lesson) + sha256_hex(images.tobytes())).encode())
        path = self._path("readings", digest, "npy")
        known = _read_again(path, len(images)) if path else None
        if known is not None:
            return known
        found = read(learn(split, self._shape, self._labels, lesson, advance), images)
        if path:
            buffer = io.BytesIO()
            np.save(buffer, found)
            write_whole(path, buffer.getvalue())
        return found

    def _path(self, kind: str, digest: str, suffix: str) -> Path | None:
        return self._folder and self._folder / f"{kind}-{digest[:32]}.{suffix}"


def _digest(split: Split, lesson: Lesson) -> str:
    content = [sha256_hex(array.tobytes()) for array in (split.images, split.labels)]
    made_by = [_VERSION, torch.__version__, list(split.images.shape), lesson.model_dump()]
    return sha256_hex(canonical_json([made_by, content]))


def _loaded(path: Path, shape: ImageShape, labels: int) -> Classifier | None:
    model = empty_classifier(shape, labels)
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        LookupError,
        ValueError,
        TypeError,
    ):
        # Not there or broken: it is made anew, and the file replaced.
        return None
    return model.eval()


def _read_again(path: Path, count: int) -> LabelIds | None:
    try:
        found: LabelIds = np.lib.format.read_array(
            io.BytesIO(path.read_bytes()), allow_pickle=False
        )
    except (OSError, EOFError, ValueError):
        return None
    return found if found.shape == (count,) and found.dtype == np.int64 else None
