"""The pictures of the report: what the decoder draws, and what it draws from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.bound import encode_noise, reconstruct
from export.data import Split
from export.evaluation.bench import Bench
from export.evaluation.drawing import draw, draw_set, like
from export.evaluation.latent_paths import great_circle, most_active
from export.evaluation.neighbours import Neighbours, looked_up
from export.evaluation.strip import Strip, strip
from workers.decoder import Images
from workers.latents import Latents, draw_latents

COLUMNS = 16
#: Rows and labels beyond these would be a wall, not a picture.
MOST_LABELS, MOST_DIMENSIONS, MOST_PATHS = 26, 10, 6
#: 98.8 % of standard normal numbers lie between the ends.
REACH = np.linspace(-2.5, 2.5, 11, dtype=np.float32)
TEMPERATURES_MILLI = (500, 700, 850, 1000, 1200)
_PROBES = 32


@dataclass(frozen=True)
class Gallery:
    """Rows of one picture: `name` is its place on the page."""

    name: str
    strips: tuple[Strip, ...]


def galleries(bench: Bench) -> tuple[Gallery, ...]:
    """Every picture that can be taken: reconstructions need the checkpoint's encoder."""
    makers = [_samples, _one_seed, _temperatures, _interpolations, _traversals]
    if bench.checkpoint:
        makers.append(_reconstructions)
    with bench.watch.measuring("pictures", len(makers)) as advance:
        taken = []
        for make in makers:
            taken.append(Gallery(make.__name__.removeprefix("_"), tuple(make(bench))))
            advance()
    return tuple(taken)


def closest_pairs(bench: Bench, found: Neighbours) -> Gallery:
    """The samples nearest to a training image, above that training image."""
    drawn = draw_set(bench.decoder, like(looked_up(bench), bench.decoder), seed=found.seed).images
    samples = drawn[[pair.sample for pair in found.closest]]
    copies = bench.data.train.images[[pair.train for pair in found.closest]]
    return Gallery(
        "closest_pairs",
        (
            strip(samples, title="sample", alt="The samples closest to any training image"),
            strip(copies, title="training", alt="The training image closest to each of them"),
        ),
    )


def _samples(bench: Bench) -> Iterator[Strip]:
    for label_id, label in _labels(bench):
        images = draw(bench.decoder, label_id, COLUMNS, seed=bench.arguments.seed)
        yield strip(images, title=label or "", alt=f"{COLUMNS} samples{_of(label)}")


def _one_seed(bench: Bench) -> Iterator[Strip]:
    if not bench.decoder.card.labels:
        return
    latents = _latents(bench, COLUMNS)
    for _, label in _labels(bench):
        images = bench.decoder.decode(latents, label)
        yield strip(images, title=label or "", alt=f"The same {COLUMNS} latents as label {label}")


def _temperatures(bench: Bench) -> Iterator[Strip]:
    shown = [label for _, label in _labels(bench)][:COLUMNS]
    latents = _latents(bench, COLUMNS)
    for milli in TEMPERATURES_MILLI:
        scaled = latents * np.float32(milli / 1000)
        labels = [shown[column % len(shown)] for column in range(COLUMNS)]
        yield strip(
            _each(bench, scaled, labels),
            title=f"{milli / 1000:g}",
            alt=f"{COLUMNS} samples at temperature {milli / 1000:g}",
        )


def _interpolations(bench: Bench) -> Iterator[Strip]:
    ends = _latents(bench, 2 * MOST_PATHS)
    labels = _spread_out([label for _, label in _labels(bench)], MOST_PATHS)
    for row, label in enumerate(labels):
        path = great_circle(ends[2 * row], ends[2 * row + 1], COLUMNS)
        yield strip(
            bench.decoder.decode(path, label),
            title=label or "",
            alt=f"{COLUMNS} steps from one sample to another{_of(label)}",
        )


def _traversals(bench: Bench) -> Iterator[Strip]:
    start, label = _start(bench)
    for dimension in most_active(bench.decoder, _latents(bench, _PROBES))[:MOST_DIMENSIONS]:
        latents = np.repeat(start[None], len(REACH), axis=0)
        latents[:, dimension] = REACH
        yield strip(
            bench.decoder.decode(latents, label),
            title=f"z{dimension}",
            alt=f"Latent dimension {dimension} from -2.5 to 2.5, all others kept",
        )


def _reconstructions(bench: Bench) -> Iterator[Strip]:
    shown = bench.some(bench.data.test, 2 * COLUMNS)
    for first in range(0, len(shown), COLUMNS):
        part = Split(shown.images[first : first + COLUMNS], shown.labels[first : first + COLUMNS])
        yield strip(part.images, title="test", alt=f"{len(part)} real test images")
        yield strip(reconstruct(bench.model, part), title="again", alt="Their reconstructions")


def _start(bench: Bench) -> tuple[Latents, str | None]:
    """Where traversals pass: the latent of a real test image, or a drawn one without an encoder."""
    labels = bench.decoder.card.labels
    if bench.checkpoint is None:
        return _latents(bench, 1)[0], labels[0] if labels else None
    test = bench.data.test
    start: Latents = encode_noise(bench.model, Split(test.images[:1], test.labels[:1]))[0]
    return start, labels[int(test.labels[0])] if labels else None


def _latents(bench: Bench, count: int) -> Latents:
    return draw_latents(bench.arguments.seed, 0, count, bench.decoder.card.latent_dim)


def _labels(bench: Bench) -> list[tuple[int, str | None]]:
    """(id, label) of the labels that are shown; one None for an unconditional decoder."""
    labels: Sequence[str | None] = bench.decoder.card.labels or (None,)
    return list(enumerate(labels))[:MOST_LABELS]


def _each(bench: Bench, latents: Latents, labels: Sequence[str | None]) -> Images:
    """Latents [n, L] with a label each, drawn one by one."""
    drawn = [bench.decoder.decode(latents[i : i + 1], label) for i, label in enumerate(labels)]
    return np.concatenate(drawn)


def _spread_out(labels: list[str | None], count: int) -> list[str | None]:
    """`count` labels evenly through the list, or all of them over again."""
    return [labels[i * max(1, len(labels) // count) % len(labels)] for i in range(count)]


def _of(label: str | None) -> str:
    return f" of label {label}" if label else ""
