"""Classification accuracy score: how good a classifier is that saw generated images only."""

from export.evaluation.bench import Bench
from export.evaluation.drawing import draw_set, like
from export.evaluation.figures import Figure, Spread, spread_of
from export.evaluation.reading import Reading, reading_of
from export.evaluation.watch import Advance
from service.contract.value import Value


class Score(Value):
    """Accuracy on real test images after `steps` steps on `images` generated ones; per label too."""

    images: int
    steps: int
    score: Spread
    per_label: dict[str, Figure]


def classification_accuracy_score(bench: Bench) -> Score:
    """Ravuri & Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019
    (arXiv:1905.10887): train on as many samples of each label as the real training split has.
    """
    seeds = bench.arguments.evaluation_seeds()
    with bench.watch.measuring(
        "classification accuracy score", len(seeds) * bench.steps
    ) as advance:
        readings = [_taught_by_samples(bench, seed, advance) for seed in seeds]
    return Score(
        images=len(bench.data.train),
        steps=bench.steps,
        score=spread_of(reading.accuracy for reading in readings),
        per_label={
            name: spread_of(reading.per_label[name] for reading in readings).mean
            for name in readings[0].per_label
        },
    )


def _taught_by_samples(bench: Bench, seed: int, advance: Advance) -> Reading:
    drawn = draw_set(bench.decoder, like(bench.data.train, bench.decoder), seed=seed)
    test = bench.data.test
    found = bench.lessons.readings(drawn, bench.lesson(seed), test.images, advance)
    return reading_of(found, test.labels, bench.data.labels)
