"""Exact neighbours and balls, against the shortest code that could be right."""

import numpy as np
import pytest
import torch

from export.evaluation import distance
from export.evaluation.distance import balls, nearest
from export.evaluation.manifold import compare


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 queries and 256 references, so that every test crosses their edges."""
    monkeypatch.setattr(distance, "_QUERIES", 7)
    monkeypatch.setattr(distance, "_BLOCK_NUMBERS", 1)
    torch.set_num_threads(1)


def normal(count: int, dimensions: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions), np.float32)


def brute(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    return np.linalg.norm(queries[:, None].astype(np.float64) - references, axis=2)


def test_neighbours_are_exact() -> None:
    """Distances and rows are those of a full table, whatever the blocks."""
    queries, references = normal(40, seed=1), normal(700)
    distances, rows = nearest(queries, references, 3)
    table = brute(queries, references)
    assert (rows == table.argsort(axis=1)[:, :3]).all()
    np.testing.assert_allclose(distances, np.sort(table, axis=1)[:, :3], rtol=1e-5)


def test_nobody_is_its_own_neighbour() -> None:
    """With `themselves` a vector's nearest is another one, in every block."""
    vectors = normal(600)
    distances, rows = nearest(vectors, vectors, 2, themselves=True)
    assert (rows != np.arange(600)[:, None]).all()
    np.testing.assert_allclose(
        distances, np.sort(brute(vectors, vectors), axis=1)[:, 1:3], rtol=1e-4
    )


def test_a_copied_image_is_at_distance_zero() -> None:
    """No rounding: uint8 images, white being 1, are compared by subtraction in the end."""
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), np.uint8)
    distances, rows = nearest(images[50:60], images, 2)
    assert (distances[:, 0] == 0).all()
    assert (rows[:, 0] == np.arange(50, 60)).all()
    apart = (images[50].astype(float) - images[rows[0, 1]]) / 255
    assert distances[0, 1] == pytest.approx(np.linalg.norm(apart), rel=1e-5)


def test_fewer_neighbours_than_asked() -> None:
    """Where others are too few, the farthest stands for the missing ones."""
    vectors = normal(3)
    distances, _ = nearest(vectors, vectors, 5, themselves=True)
    assert distances.shape == (3, 5)
    assert np.isfinite(distances).all()
    np.testing.assert_array_equal(distances[:, 1], distances[:, 4])


def test_balls_are_counted() -> None:
    """In how many balls a vector lies, and which balls hold one."""
    queries, centres = normal(50, seed=1), normal(80)
    radii = np.full(80, 1.2, np.float32)
    inside, hit = balls(queries, centres, radii)
    table = brute(queries, centres) <= 1.2
    assert (inside == table.sum(axis=1)).all()
    assert (hit == table.any(axis=0)).all()


def test_the_same_set_is_perfect_and_a_far_one_worthless() -> None:
    """The ends of the scale: a set against itself, and against a set elsewhere."""
    vectors = normal(200)
    assert compare(vectors, vectors) == pytest.approx(
        {"precision": 1, "recall": 1, "density": 1.2, "coverage": 1}, abs=0.3
    )
    assert compare(vectors, vectors + 100) == {
        "precision": 0,
        "recall": 0,
        "density": 0,
        "coverage": 0,
    }


def test_draws_of_one_distribution_have_density_one() -> None:
    """Naeem et al. 2020: of equal sets density is 1 in expectation, and coverage about 1 - 2^-k."""
    found = compare(normal(1000, 3, seed=1), normal(1000, 3, seed=2))
    assert found["density"] == pytest.approx(1, abs=0.1)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
