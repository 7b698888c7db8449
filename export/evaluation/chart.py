"""Line charts as drawings in SVG's coordinates; the page's template paints them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The drawing's size, and the room for ticks and titles around it. Narrow, so that letters stay
#: readable where a telephone shrinks it.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440.0, 262.0, 56.0, 14.0, 28.0, 44.0


@dataclass(frozen=True)
class Series:
    """Points of one line, and what it is called."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """Where a tick stands, in the drawing's coordinates, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines as (name, SVG path), ticks of both axes, and everything in words."""

    alt: str
    x_title: str
    y_title: str
    lines: tuple[tuple[str, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[tuple[tuple[float, float], ...], ...]

    #: For the template.
    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM


def line_chart(
    series: Sequence[Series],
    *,
    alt: str,
    x_title: str,
    y_title: str,
    percent: bool = False,
    from_zero: bool = False,
    dots: bool = False,
) -> Chart:
    """A chart whose axes end at round numbers. `percent` shows shares in hundredths."""
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points] + ([0.0] if from_zero else [])
    x_ticks, y_ticks = round_ticks(min(xs), max(xs)), round_ticks(min(ys), max(ys))
    x_ends = (min(xs), max(xs)) if max(xs) > min(xs) else (x_ticks[0], x_ticks[-1])
    y_ends = (min(*ys, y_ticks[0]), max(*ys, y_ticks[-1]))
    at = [[(_x(x, x_ends), _y(y, y_ends)) for x, y in line.points] for line in series]
    return Chart(
        alt=alt,
        x_title=x_title,
        y_title=y_title,
        lines=tuple((line.name, _path(places)) for line, places in zip(series, at, strict=True)),
        x_ticks=tuple(
            Tick(_x(x, x_ends), f"{x:g}") for x in x_ticks if x_ends[0] <= x <= x_ends[1]
        ),
        y_ticks=tuple(Tick(_y(y, y_ends), _said(y, percent)) for y in y_ticks),
        dots=tuple(tuple(places) for places in at) if dots else (),
    )


def steps(shares: Sequence[float], widest: float) -> list[tuple[float, float]]:
    """A histogram with equal bins from 0 to `widest` as the corners of its outline."""
    width = widest / len(shares)
    return [
        corner
        for i, share in enumerate(shares)
        for corner in ((i * width, share), ((i + 1) * width, share))
    ]


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about so many."""
    if high <= low:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _said(value: float, percent: bool) -> str:
    return f"{100 * value:g} %" if percent else f"{value:g}"


def _x(x: float, ends: tuple[float, float]) -> float:
    return round(LEFT + (x - ends[0]) / (ends[1] - ends[0]) * (WIDTH - LEFT - RIGHT), 1)


def _y(y: float, ends: tuple[float, float]) -> float:
    return round(HEIGHT - BOTTOM - (y - ends[0]) / (ends[1] - ends[0]) * (HEIGHT - TOP - BOTTOM), 1)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
