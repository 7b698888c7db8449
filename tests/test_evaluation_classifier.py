"""The reference classifier: any image size, the same weights again, and no trace left behind."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.data import Split
from export.evaluation import lessons as room
from export.evaluation.classifier import FEATURES, features_of, read
from export.evaluation.feature_space import COMPONENTS, pixel_space
from export.evaluation.lesson import Lesson, learn
from export.evaluation.lessons import Lessons
from service.contract.card import ImageShape

pytestmark = pytest.mark.slow

LESSON = Lesson(steps=3, seed=5, threads=1)


def split(shape: tuple[int, int, int] = (8, 8, 1), count: int = 150, labels: int = 3) -> Split:
    generator = np.random.default_rng(0)
    return Split(
        generator.integers(0, 256, (count, *shape), np.uint8),
        generator.integers(0, labels, count, np.int64),
    )


def quiet() -> None:
    pass


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 9, 3), (8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3), (64, 64, 1)]
)
def test_every_image_size_is_read(shape: tuple[int, int, int]) -> None:
    """Grey and colour, tiny and large, square or not: one label id and one feature vector each."""
    data, size = split(shape), ImageShape(height=shape[0], width=shape[1], channels=shape[2])
    model = learn(data, size, 3, LESSON, quiet)
    assert set(read(model, data.images).tolist()) <= {0, 1, 2}
    assert features_of(model, data.images).shape == (150, FEATURES)


def test_fewer_images_than_a_batch_are_learned() -> None:
    """Twenty images make batches of twenty, as the hundredth of a small data set needs."""
    seen: list[int] = []
    data = split(count=20)
    learn(data, ImageShape(height=8, width=8, channels=1), 3, LESSON, lambda: seen.append(1))
    assert len(seen) == LESSON.steps


def test_same_lesson_same_weights_and_no_trace() -> None:
    """Two trainings agree bit by bit; the global random state and thread count are as before."""
    data, shape = split(), ImageShape(height=8, width=8, channels=1)
    torch.set_num_threads(1)
    state = torch.random.get_rng_state()
    one, other = (learn(data, shape, 3, LESSON, quiet) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    another = learn(data, shape, 3, Lesson(steps=3, seed=6, threads=2), quiet)
    assert not torch.equal(one.out.weight, another.out.weight)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == 1


def test_images_that_may_not_be_written_to_are_read() -> None:
    """Arrays over a file's bytes are read-only; they are learned without a warning."""
    data = split()
    data.images.flags.writeable = False
    learn(data, ImageShape(height=8, width=8, channels=1), 3, LESSON, quiet)


def test_a_kept_classifier_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was learned is loaded by other lessons of the same folder, and gives the same answers."""
    data, shape = split(), ImageShape(height=8, width=8, channels=1)
    first = Lessons(shape, 3, tmp_path)
    learned = read(first.classifier(data, LESSON, quiet), data.images)
    readings = first.readings(data, LESSON, data.images, quiet)

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(room, "learn", refuse)
    again = Lessons(shape, 3, tmp_path)
    assert (read(again.classifier(data, LESSON, quiet), data.images) == learned).all()
    assert (again.readings(data, LESSON, data.images, quiet) == readings).all()
    with pytest.raises(AssertionError, match="trained again"):
        again.classifier(data, Lesson(steps=4, seed=5, threads=1), quiet)
    with pytest.raises(AssertionError, match="trained again"):
        again.readings(split(count=149), LESSON, data.images, quiet)


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04 half a file"])
def test_a_broken_kept_file_is_made_again(tmp_path: Path, broken: bytes) -> None:
    """A file cut off or overwritten costs a training, never the evaluation."""
    data, shape = split(), ImageShape(height=8, width=8, channels=1)
    lessons = Lessons(shape, 3, tmp_path)
    learned = read(lessons.classifier(data, LESSON, quiet), data.images)
    readings = lessons.readings(data, LESSON, data.images, quiet)
    for file in tmp_path.iterdir():
        file.write_bytes(broken)
    assert (read(lessons.classifier(data, LESSON, quiet), data.images) == learned).all()
    assert (lessons.readings(data, LESSON, data.images, quiet) == readings).all()
    assert all(file.read_bytes() != broken for file in tmp_path.iterdir())


def test_pixels_without_labels_have_a_space_of_their_own() -> None:
    """Principal components keep distances within a flat set of images, in at most 64 numbers."""
    generator = np.random.default_rng(0)
    axes = generator.integers(0, 60, (4, 8, 8, 1))
    images = (generator.integers(0, 2, (300, 4)) @ axes.reshape(4, -1)).reshape(-1, 8, 8, 1)
    found = pixel_space(images.astype(np.uint8)).of(images.astype(np.uint8))
    assert found.shape == (300, COMPONENTS)
    apart = np.linalg.norm((images[0].astype(float) - images[1]).ravel() / 255)
    assert np.linalg.norm(found[0] - found[1]) == pytest.approx(apart, rel=1e-3)
