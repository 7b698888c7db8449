"""Fidelity by temperature: what a request's `temperature` does to the label."""

from export.evaluation.bench import Bench
from export.evaluation.classifier import read
from export.evaluation.drawing import balanced, draw_set
from export.evaluation.figures import Figure
from service.contract.value import Value

#: Thousandths, as in a recipe.
TEMPERATURES_MILLI = tuple(range(500, 1201, 100))
_MOST = 2000


class AtTemperature(Value):
    """The share of samples read as asked at one temperature."""

    temperature_milli: int
    fidelity: Figure


class Temperatures(Value):
    """`samples` of all labels at each temperature, from the same latents."""

    samples: int
    seed: int
    points: tuple[AtTemperature, ...]


def fidelity_by_temperature(bench: Bench) -> Temperatures:
    """Latents nearer to 0 draw more ordinary samples: fidelity rises as variety falls."""
    counts = balanced(min(bench.arguments.drawn, _MOST), bench.decoder)
    classifier = bench.classifier
    with bench.watch.measuring("fidelity by temperature", len(TEMPERATURES_MILLI)) as advance:
        points = []
        for milli in TEMPERATURES_MILLI:
            drawn = draw_set(
                bench.decoder, counts, seed=bench.arguments.seed, temperature_milli=milli
            )
            right = read(classifier, drawn.images) == drawn.labels
            points.append(AtTemperature(temperature_milli=milli, fidelity=float(right.mean())))
            advance()
    return Temperatures(samples=sum(counts), seed=bench.arguments.seed, points=tuple(points))
