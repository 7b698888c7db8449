"""The report as one page of HTML that needs no network, no script and no other file."""

from collections.abc import Mapping, Sequence
from itertools import chain

from jinja2 import Environment, PackageLoader, StrictUndefined

from export.evaluation.chart import Chart, Series, line_chart, steps
from export.evaluation.fidelity import Fidelity
from export.evaluation.figures import Spread
from export.evaluation.galleries import Gallery
from export.evaluation.neighbours import Space
from export.evaluation.report import Report

#: A table of more labels than these is wider than any screen; the commonest confusions stand for it.
WIDEST_TABLE, CONFUSIONS = 26, 12


def page(report: Report, galleries: Sequence[Gallery] = ()) -> str:
    """Same report and pictures, same text."""
    environment = Environment(
        loader=PackageLoader("export.evaluation", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "spread": spread_in_words,
        "nats": lambda figure: f"{figure:.2f}",
        "number": lambda count: f"{count:,}",
    }
    return environment.get_template("page.html").render(
        report=report,
        charts=_charts(report),
        pictures={gallery.name: gallery for gallery in galleries},
        confusions=_confusions(report),
        widest_table=WIDEST_TABLE,
    )


def percent(share: float) -> str:
    """Two decimals, and never 100 for what is less; narrow spaces keep number and sign together."""
    return f"{100 * share:.2f}\N{NARROW NO-BREAK SPACE}%"


def spread_in_words(figure: Spread) -> str:
    """`± 0.08` in hundredths; nothing for one seed."""
    if figure.spread is None:
        return ""
    return f"±\N{NARROW NO-BREAK SPACE}{100 * figure.spread:.2f}"


def _charts(report: Report) -> Mapping[str, Chart | list[Chart]]:
    charts: dict[str, Chart | list[Chart]] = {}
    if report.temperature:
        charts["temperature"] = _by_temperature(report)
    if report.curve and report.curve.points:
        charts["curve"] = _learning(report)
    if report.neighbours:
        charts["neighbours"] = [_distances(space) for space in report.neighbours.spaces]
    return charts


def _by_temperature(report: Report) -> Chart:
    assert report.temperature
    points = [
        (point.temperature_milli / 1000, point.fidelity) for point in report.temperature.points
    ]
    said = ", ".join(f"{percent(share)} at {heat:g}" for heat, share in points)
    return line_chart(
        [Series("label fidelity", points)],
        alt=f"Label fidelity by temperature: {said}",
        x_title="temperature",
        y_title="label fidelity",
        percent=True,
        dots=True,
    )


def _learning(report: Report) -> Chart:
    assert report.curve
    points, last = report.curve.points, report.curve.points[-1]
    return line_chart(
        [
            Series("validation", [(point.epoch, point.validation) for point in points]),
            Series("training", [(point.epoch, point.train) for point in points]),
        ],
        alt=f"Negative ELBO by epoch, in the end {last.train:.2f} nats in training and "
        f"{last.validation:.2f} in validation",
        x_title="epoch",
        y_title="negative ELBO, nats",
    )


def _distances(space: Space) -> Chart:
    return line_chart(
        [
            Series("samples", steps(space.samples.histogram, space.widest)),
            Series("real test images", steps(space.real.histogram, space.widest)),
        ],
        alt=f"Distances to the nearest training image by {space.name}: the median is "
        f"{space.samples.quantiles['0.5']:.3g} for samples and {space.real.quantiles['0.5']:.3g} for "
        "real test images",
        x_title="distance to the nearest training image",
        y_title="share of images",
        percent=True,
        from_zero=True,
    )


def _confusions(report: Report) -> list[tuple[str, str, float]]:
    """(asked, read, share of the asked) of the commonest confusions."""
    found = report.fidelity
    if not found:
        return []
    names = report.decoder.labels
    wrong = chain.from_iterable(_of_row(found, names, asked) for asked in range(len(names)))
    return sorted(wrong, key=lambda one: -one[2])[:CONFUSIONS]


def _of_row(found: Fidelity, names: tuple[str, ...], asked: int) -> list[tuple[str, str, float]]:
    row = found.confusion[asked]
    return [
        (names[asked], names[read], count / sum(row))
        for read, count in enumerate(row)
        if count and read != asked
    ]
