"""Nearest training neighbours: does the decoder copy what it was trained on?"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from export.data import Split
from export.evaluation.bench import Bench
from export.evaluation.distance import Floats, Vectors, nearest
from export.evaluation.drawing import draw_set, like
from export.evaluation.figures import Figure
from service.contract.value import Value
from workers.decoder import Images

#: A sample is called one training image again where that is so much nearer than the second nearest.
#: Unlike a bare distance this does not take smooth images, which are near to everything, for copies.
ALONE = 1 / 3
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
#: More of the samples than of the real test images, in shares of all: above that, copying is said.
SOME, MANY = 0.005, 0.05
_BINS, _PAIRS = 40, 8
#: Images that are looked up among all training images; more would take minutes and say no more.
_MOST = 5000


class Pair(Value):
    """A sample and the training image nearest to it, by their rows; the distance in pixels' space."""

    sample: int
    train: int
    distance: Figure


class Distances(Value):
    """How far images lie from the nearest training image: quantiles, and a histogram in shares."""

    quantiles: dict[str, Figure]
    histogram: tuple[Figure, ...]


class Space(Value):
    """One space: the samples beside the real test images, which cannot be copies.

    `nearer` is the share of samples nearer than the nearest hundredth of the real test images; `alone` the
    share at most a third as far from one training image as from the next, and `alone_real` that of
    real test images. `widest` is the right edge of both histograms, which begin at 0.
    """

    name: str
    samples: Distances
    real: Distances
    widest: Figure
    nearer: Figure
    alone: Figure
    alone_real: Figure


class Neighbours(Value):
    """`images` samples and real test images, by pixels and by features; the closest pairs by pixels."""

    images: int
    seed: int
    spaces: tuple[Space, ...]
    closest: tuple[Pair, ...]
    verdict: Literal["copies", "some", "none"]


def nearest_training_neighbours(bench: Bench) -> Neighbours:
    """Samples beside images of the same source that nobody could have copied, after Meehan, Chaudhuri &
    Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models", 2020 (arXiv:2004.05675).

    The search through the whole training split is exact.
    """
    test, seed = looked_up(bench), bench.arguments.seed
    drawn = draw_set(bench.decoder, like(test, bench.decoder), seed=seed).images
    named: list[tuple[str, Callable[[Images], Vectors]]] = [
        ("pixels", lambda images: images),
        (bench.space.name, bench.space.of),
    ]
    spaces: list[Space] = []
    with bench.watch.measuring("nearest training neighbours", len(named)) as advance:
        for name, of in named:
            train = of(bench.data.train.images)
            found, rows = nearest(of(drawn), train, 2)
            if not spaces:
                pairs = _closest(found, rows)
            spaces.append(_space(name, found, nearest(of(test.images), train, 2)[0]))
            advance()
    return Neighbours(
        images=len(test), seed=seed, spaces=tuple(spaces), closest=pairs, verdict=_verdict(spaces)
    )


def looked_up(bench: Bench) -> Split:
    """The real test images that are compared; as many samples of the same labels stand beside them."""
    return bench.some(bench.data.test, min(_MOST, bench.arguments.compared))


def _space(name: str, drawn: Floats, real: Floats) -> Space:
    """Distances to the two nearest training images, float32 [N, 2] each."""
    widest = max(1e-6, *(float(np.quantile(each[:, 0], 0.995)) for each in (drawn, real)))
    return Space(
        name=name,
        samples=_distances(drawn[:, 0], widest),
        real=_distances(real[:, 0], widest),
        widest=widest,
        nearer=float((drawn[:, 0] < np.quantile(real[:, 0], QUANTILES[0])).mean()),
        alone=_alone(drawn),
        alone_real=_alone(real),
    )


def _distances(to_nearest: Floats, widest: float) -> Distances:
    counts, _ = np.histogram(np.minimum(to_nearest, widest), bins=_BINS, range=(0, widest))
    return Distances(
        quantiles={f"{q:g}": float(np.quantile(to_nearest, q)) for q in QUANTILES},
        histogram=tuple(float(count) / len(to_nearest) for count in counts),
    )


def _alone(two_nearest: Floats) -> float:
    first, second = two_nearest[:, 0], two_nearest[:, 1]
    # Two equal training images are no reason to call their copy none.
    return float(((first <= ALONE * second) | (first == 0)).mean())


def _verdict(spaces: list[Space]) -> Literal["copies", "some", "none"]:
    """By pixels: a classifier's features forget on purpose what tells two images of a label apart."""
    more = spaces[0].alone - spaces[0].alone_real
    return "copies" if more > MANY else "some" if more > SOME else "none"


def _closest(
    distances: Floats, rows: np.ndarray[tuple[int, int], np.dtype[np.int64]]
) -> tuple[Pair, ...]:
    order = np.argsort(distances[:, 0], kind="stable")[:_PAIRS]
    return tuple(
        Pair(sample=int(i), train=int(rows[i, 0]), distance=float(distances[i, 0])) for i in order
    )
