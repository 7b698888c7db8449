"""Precision, recall, density, coverage: do samples lie where real images lie, and everywhere there?"""

from export.evaluation.bench import Bench
from export.evaluation.distance import Floats, balls, nearest
from export.evaluation.drawing import draw_set, like
from export.evaluation.figures import Figure, Spread, spread_of
from service.contract.value import Value

#: As Naeem et al. 2020 choose it for 10,000 images: equal sets then cover 97 % of each other.
NEIGHBOURS = 5


class Manifold(Value):
    """`images` real test images against as many samples of the same labels, in `space`.

    `ceiling` holds the same figures for real training images in the place of samples.
    """

    space: str
    neighbours: int
    images: int
    precision: Spread
    recall: Spread
    density: Spread
    coverage: Spread
    ceiling: dict[str, Figure]


def manifold(bench: Bench) -> Manifold:
    """Kynkäänniemi et al. 2019 (arXiv:1904.06991): precision and recall. Naeem, Oh, Uh, Choi & Yoo 2020
    (arXiv:2002.09797): density and coverage, which one outlier among the real images does not spoil.
    """
    space, seeds = bench.space, bench.arguments.evaluation_seeds()
    with bench.watch.measuring("precision, recall, density, coverage", len(seeds) + 1) as advance:
        test = bench.some(bench.data.test, bench.arguments.compared)
        real = space.of(test.images)
        found = []
        for seed in seeds:
            drawn = draw_set(bench.decoder, like(test, bench.decoder), seed=seed)
            found.append(compare(real, space.of(drawn.images)))
            advance()
        ceiling = compare(real, space.of(bench.some(bench.data.train, len(test)).images))
    return Manifold(
        space=space.name,
        neighbours=NEIGHBOURS,
        images=len(test),
        ceiling=ceiling,
        **{name: spread_of(each[name] for each in found) for name in ceiling},
    )


def compare(real: Floats, drawn: Floats) -> dict[str, float]:
    """The four figures of drawn features [M, F] against real ones [N, F].

    precision = share of samples in some ball of a real image; recall = the same with places changed
    density   = 1/(kM) sum_j sum_i [sample j in ball i]
    coverage  = share of real images whose ball holds a sample

    A ball reaches to the k-th nearest neighbour within its own set.
    """
    real_radii, drawn_radii = _radii(real), _radii(drawn)
    inside, covered = balls(drawn, real, real_radii)
    recalled, _ = balls(real, drawn, drawn_radii)
    return {
        "precision": float((inside > 0).mean()),
        "recall": float((recalled > 0).mean()),
        "density": float(inside.mean()) / NEIGHBOURS,
        "coverage": float(covered.mean()),
    }


def _radii(features: Floats) -> Floats:
    distances, _ = nearest(features, features, NEIGHBOURS, themselves=True)
    radii: Floats = distances[:, -1]
    return radii
