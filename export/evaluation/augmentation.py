"""Naive augmentation score: does adding samples to real images help a classifier?"""

from collections.abc import Sequence

import numpy as np

from export.data import Split
from export.evaluation.bench import Bench
from export.evaluation.drawing import draw_set, like
from export.evaluation.figures import Spread, spread_of
from export.evaluation.reading import reading_of
from export.evaluation.watch import Advance
from service.contract.value import Value

PERCENTS = (1, 10, 100)


class Augmented(Value):
    """Accuracy on real test images after learning `real_images` alone, and with samples beside them."""

    percent: int
    real_images: int
    real_alone: Spread
    with_samples: Spread


class Augmentation(Value):
    """One row for each share of the real images; `samples` generated images beside each.

    Both sides take the same `steps` with batches of one size, so that neither learns longer; batches are
    drawn evenly from real and generated images together. All of the real images alone: the reference.
    """

    samples: int
    steps: int
    rows: tuple[Augmented, ...]


def naive_augmentation_score(bench: Bench) -> Augmentation:
    """Ravuri & Vinyals 2019 (arXiv:1905.10887): real images and samples together.

    The generator has seen all of the real images, also where the classifier sees a hundredth of them.
    """
    arguments = bench.arguments
    seeds = range(arguments.seed, arguments.seed + arguments.augmentation_seeds)
    trainings = len(seeds) * (2 * len(PERCENTS) - 1)
    with bench.watch.measuring("naive augmentation score", trainings * bench.steps) as advance:
        rows = tuple(_row(bench, percent, seeds, advance) for percent in PERCENTS)
    return Augmentation(samples=len(bench.data.train), steps=bench.steps, rows=rows)


def _row(bench: Bench, percent: int, seeds: Sequence[int], advance: Advance) -> Augmented:
    alone, beside = [], []
    for seed in seeds:
        real = share_of(bench.data.train, percent, seed=seed)
        drawn = draw_set(bench.decoder, like(bench.data.train, bench.decoder), seed=seed)
        alone.append(_accuracy(bench, real, seed, advance) if percent < 100 else None)
        beside.append(_accuracy(bench, _together(real, drawn), seed, advance))
    known = [bench.reference.accuracy if found is None else found for found in alone]
    return Augmented(
        percent=percent,
        real_images=len(real),
        real_alone=spread_of(known[:1] if percent == 100 else known),
        with_samples=spread_of(beside),
    )


def share_of(split: Split, percent: int, *, seed: int) -> Split:
    """So many percent of the images of each label, rounded up, drawn by the seed."""
    generator = np.random.default_rng(seed)
    picked = []
    for label_id in np.unique(split.labels):
        rows = generator.permutation(np.flatnonzero(split.labels == label_id))
        picked.append(rows[: -(-len(rows) * percent // 100)])
    rows = np.sort(np.concatenate(picked))
    return Split(split.images[rows], split.labels[rows])


def _accuracy(bench: Bench, split: Split, seed: int, advance: Advance) -> float:
    test = bench.data.test
    found = bench.lessons.readings(split, bench.lesson(seed), test.images, advance)
    return reading_of(found, test.labels, bench.data.labels).accuracy


def _together(one: Split, other: Split) -> Split:
    return Split(
        np.concatenate([one.images, other.images]), np.concatenate([one.labels, other.labels])
    )
