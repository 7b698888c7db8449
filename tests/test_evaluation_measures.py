"""What the measures say of decoders whose faults are known."""

import numpy as np
import pytest

from tests.fixtures.evaluation import Judge


def noise(judge: Judge) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (200, 8, 8, 1), np.uint8) for _ in judge.real()]


def test_swapped_labels_cost_their_share(judge: Judge) -> None:
    """A decoder that draws ones for zeros and zeros for ones loses a fifth of its fidelity."""
    zero, one, *others = judge.real()
    found = judge.judge([one, zero, *others], "fidelity").fidelity
    assert found
    assert found.fidelity.mean == pytest.approx(0.8, abs=0.01)
    assert (found.confusion[0][1], found.confusion[1][0]) == (50, 50)
    assert (found.per_label["0"], found.per_label["1"]) == (0, 0)
    assert sum(map(sum, found.confusion)) == found.samples_per_seed == 500


def test_training_images_are_as_good_as_real_ones_and_copies(judge: Judge) -> None:
    """Who hands out the training images scores like them, and is called a copier."""
    report = judge.judge(judge.real(), "fidelity", "score", "manifold", "neighbours")
    assert report.fidelity and report.score and report.manifold and report.neighbours  # noqa: PT018
    assert report.reference and report.reference.accuracy > 0.9  # noqa: PT018
    assert report.fidelity.fidelity.mean > 0.98
    assert report.score.score.mean > report.reference.accuracy - 0.05
    assert report.manifold.precision.mean > 0.85
    assert report.manifold.coverage.mean > report.manifold.ceiling["coverage"] - 0.1
    pixels = report.neighbours.spaces[0]
    assert (report.neighbours.verdict, pixels.alone, pixels.nearer) == ("copies", 1, 1)
    assert pixels.alone_real < 0.02
    assert {pair.distance for pair in report.neighbours.closest} == {0.0}


def test_noise_teaches_nothing(judge: Judge) -> None:
    """A classifier that learned noise guesses; noise covers nothing that is real and copies nothing."""
    report = judge.judge(noise(judge), "fidelity", "score", "manifold", "neighbours")
    assert report.fidelity and report.score and report.manifold and report.neighbours  # noqa: PT018
    assert report.fidelity.fidelity.mean < 0.25
    assert report.score.score.mean < 0.3
    assert report.manifold.recall.mean < 0.1
    assert report.manifold.coverage.mean < 0.3
    assert report.neighbours.verdict == "none"


def test_a_constant_decoder_covers_nothing(judge: Judge) -> None:
    """One good image, drawn for ever, lies where real images are and covers hardly one of them."""
    constant = [judge.real()[3][:1]] * 10
    found = judge.judge(constant, "manifold", "fidelity")
    assert found.manifold
    assert found.manifold.precision.mean == 1
    assert found.manifold.recall.mean < 0.01
    assert found.manifold.coverage.mean < 0.05
    assert found.fidelity
    assert found.fidelity.fidelity.mean == pytest.approx(0.1)


def test_nearly_copied_images_are_told(judge: Judge) -> None:
    """A little noise over training images does not hide that they are training images."""
    generator = np.random.default_rng(0)
    blurred = [
        np.clip(bank.astype(np.int16) + generator.integers(-8, 9, bank.shape), 0, 255).astype(
            np.uint8
        )
        for bank in judge.real()
    ]
    found = judge.judge(blurred, "neighbours").neighbours
    assert found
    assert found.verdict == "copies"


@pytest.mark.slow
def test_samples_help_where_real_images_are_few(judge: Judge) -> None:
    """Beside a hundredth of the real images, the rest of them is a gain; beside all, none is expected."""
    found = judge.judge(judge.real(), "augmentation").augmentation
    assert found
    assert [row.percent for row in found.rows] == [1, 10, 100]
    few, _, everything = found.rows
    # A hundredth of each label, rounded up: two of each.
    assert (few.real_images, everything.real_images) == (20, found.samples)
    assert few.with_samples.mean > few.real_alone.mean + 0.03
    assert abs(everything.with_samples.mean - everything.real_alone.mean) < 0.05


def test_figures_have_a_spread_over_seeds(judge: Judge) -> None:
    """Two seeds give two figures, their mean and their sample standard deviation."""
    banks = [
        np.concatenate([bank, other[:60]])
        for bank, other in zip(judge.real(), noise(judge), strict=True)
    ]
    found = judge.judge(banks, "fidelity", seeds=2).fidelity
    assert found
    one, other = found.fidelity.each
    assert one != other
    assert found.fidelity.mean == pytest.approx((one + other) / 2, abs=1e-6)
    assert found.fidelity.spread == pytest.approx(abs(one - other) / 2**0.5, abs=1e-6)
    # The first seed of two is the first of one: more seeds add, they do not change.
    alone = judge.judge(banks, "fidelity").fidelity
    assert alone
    assert alone.fidelity.each == (one,)
    assert alone.fidelity.spread is None


def test_temperature_is_that_of_a_request(judge: Judge) -> None:
    """The curve holds the temperatures 0.5 to 1.2 in thousandths, each with a share."""
    found = judge.judge(judge.real(), "temperature").temperature
    assert found
    assert [point.temperature_milli for point in found.points] == list(range(500, 1201, 100))
    assert all(point.fidelity > 0.95 for point in found.points)
