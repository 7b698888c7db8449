"""What a decoder does when it runs: each promise of the contract tried on its images."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto

from export.inspection.finding import Finding, Line, first_line, ok, refused, warning
from export.inspection.probe import Point, probed
from service.contract.card import LABEL_INPUT, LATENT_INPUT, DecoderCard
from service.contract.errors import DecoderRefused
from workers.decoder import Decoder, Images, LabelIds, session_options
from workers.latents import Latents, draw_latents

SEED = 0

#: The usual temperature, and the highest that a request may ask for.
TEMPERATURES = (1.0, 2.0)

#: Fewest images that a property is tried on, in as many batches as they fill.
_FEWEST = 256

#: Latents that all labels draw, before two labels are called alike.
_TRIED_LATENTS = 4

_SPEED_S = 0.5

Check = Callable[["Trial"], Finding]


class Trial:
    """One decoder as workers load it, and once more on two threads."""

    def __init__(self, model: ModelProto, file: bytes, card: DecoderCard) -> None:
        self.model, self.card = model, card
        self.decoder = Decoder(file, card)
        self.on_two_threads = Decoder(file, card, threads=2)

    def latents(self, batches: int = 1, temperature: float = 1.0) -> Latents:
        """float32 [batches * batch, latent_dim], as a job's samples get them."""
        drawn = draw_latents(SEED, 0, batches * self.card.batch_size, self.card.latent_dim)
        return drawn * np.float32(temperature)

    def label_ids(self, batches: int = 1) -> LabelIds:
        """int64 [batches * batch]: all labels in turn."""
        return np.arange(batches * self.card.batch_size) % max(1, len(self.card.labels))

    @property
    def batches(self) -> int:
        """Batches that hold every label."""
        return -(-max(_FEWEST, len(self.card.labels)) // self.card.batch_size)

    def draw(self, latents: Latents, label_ids: LabelIds, *, threads: int = 1) -> Images:
        """uint8 [n, H, W, C] for n a multiple of the batch. Raises DecoderRefused for another shape."""
        decoder = self.decoder if threads == 1 else self.on_two_threads
        batch = self.card.batch_size
        parts = [
            self._checked(decoder.draw(latents[at : at + batch], label_ids[at : at + batch]))
            for at in range(0, len(latents), batch)
        ]
        return np.concatenate(parts)

    def _checked(self, images: Images) -> Images:
        shape = self.card.image
        wanted = (self.card.batch_size, shape.height, shape.width, shape.channels)
        if images.shape != wanted or images.dtype != np.uint8:
            raise DecoderRefused(f"it yields {images.dtype} {list(images.shape)}, not {wanted}")
        return images


def try_out(trial: Trial) -> Iterator[Line]:
    """Every check, also after one has refused; each is announced before it runs."""
    for name, check in CHECKS.items():
        yield Line(begins=name)
        try:
            yield Line(finding=check(trial))
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime raises its own classes for each kind of fault.
            said = f"the graph fails when it runs: {first_line(error)}"
            yield Line(finding=refused(name, said))


def _is_finite(trial: Trial) -> Finding:
    file, points = probed(trial.model)
    options = session_options(1)
    # As written: what the optimiser would fuse away is looked at too.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    for temperature in TEMPERATURES:
        broken = _broken(trial, session, points, temperature)
        if broken:
            return _told_broken(broken, temperature)
    return ok("finite", f"{len(points)} tensors, every label, temperatures up to 2")


def _broken(
    trial: Trial,
    session: onnxruntime.InferenceSession,
    points: tuple[Point, ...],
    temperature: float,
) -> list[Point]:
    latents, ids = trial.latents(trial.batches, temperature), trial.label_ids(trial.batches)
    outputs, batch = [point.output for point in points], trial.card.batch_size
    broken = set[Point]()
    for at in range(0, len(latents), batch):
        inputs: dict[str, Any] = {LATENT_INPUT: latents[at : at + batch]}
        if trial.card.labels:
            inputs[LABEL_INPUT] = ids[at : at + batch]
        sums = session.run(outputs, inputs)
        broken |= {p for p, total in zip(points, sums, strict=True) if not np.isfinite(total)}
    return [point for point in points if point in broken]


def _told_broken(broken: list[Point], temperature: float) -> Finding:
    first = broken[0]
    where = f"first in {first.tensor!r} ({first.operator}), at temperature {temperature:g}"
    if any(point.reaches_pixels for point in broken):
        return refused("finite", f"NaN or infinity becomes pixels, {where}")
    return warning("finite", f"NaN or infinity inside, {where}; the pixels do not show it")


def _repeats(trial: Trial) -> Finding:
    latents, ids = trial.latents(trial.batches), trial.label_ids(trial.batches)
    first = trial.draw(latents, ids)
    if not np.array_equal(first, trial.draw(latents, ids)):
        return refused("repeats", "the same latents drawn twice are two images")
    if not np.array_equal(first, trial.draw(latents, ids, threads=2)):
        return refused("repeats", "one thread and two draw two images of the same latents")
    return ok("repeats", "same latents, same bytes; on one thread and on two")


def _rows_are_independent(trial: Trial) -> Finding:
    if trial.card.batch_size == 1:
        return ok("rows", "a batch of one has no neighbours")
    latents, ids = trial.latents(), trial.label_ids()
    reference = trial.draw(latents, ids)
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        for other, other_ids in _neighbours(trial):
            other[rows], other_ids[rows] = latents[rows], ids[rows]
            if not np.array_equal(trial.draw(other, other_ids)[rows], reference[rows]):
                return refused("rows", _SEES_NEIGHBOURS)
    return ok("rows", "no sample sees its neighbours in the batch")


_SEES_NEIGHBOURS = (
    "a sample changes with its neighbours in the batch, so it would not be a function of seed and "
    "index: batch normalisation in training mode, or dynamic quantisation over the whole batch?"
)


def _neighbours(trial: Trial) -> Iterator[tuple[Latents, LabelIds]]:
    """Padding, as in the last batch of a job; and large latents of other labels."""
    ids = trial.label_ids()
    yield np.zeros_like(trial.latents()), np.zeros_like(ids)
    yield -trial.latents(temperature=TEMPERATURES[-1]), np.roll(ids, 1)


def _latents_matter(trial: Trial) -> Finding:
    latents = trial.latents(trial.batches)
    images = trial.draw(latents, np.zeros(len(latents), np.int64))
    distinct = len({image.tobytes() for image in images})
    said = f"{distinct} of {len(images)} latents draw an image of their own"
    return ok("latents", said) if distinct > len(images) / 2 else warning("latents", said)


def _labels_matter(trial: Trial) -> Finding:
    labels = trial.card.labels
    if len(labels) < 2:
        return ok("labels", f"{len(labels)} labels: nothing to tell apart")
    drawn: dict[bytes, str] = {}
    for label, images in zip(labels, _images_of_labels(trial), strict=True):
        twin = drawn.setdefault(images.tobytes(), label)
        if twin != label:
            return warning("labels", f"{twin} and {label} draw the same images: too many labels?")
    return ok("labels", f"{len(labels)} labels, each draws images of its own")


def _images_of_labels(trial: Trial) -> Images:
    """uint8 [labels, latents, H, W, C]: the same few latents under every label."""
    few, count = trial.latents(_TRIED_LATENTS)[:_TRIED_LATENTS], len(trial.card.labels)
    rows = -(-count // trial.card.batch_size) * trial.card.batch_size
    ids = np.arange(rows) % count
    each = [trial.draw(np.repeat(few[k : k + 1], rows, 0), ids)[:count] for k in range(len(few))]
    return np.stack(each, axis=1)


def _speed(trial: Trial) -> Finding:
    latents, ids, images = trial.latents(), trial.label_ids(), 0
    begun = time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < _SPEED_S:
        images += len(trial.decoder.draw(latents, ids))
    speed = f"{images / elapsed:,.0f} images/s" if images > elapsed else "below one image/s"
    return ok("speed", f"{speed} on one thread, batch {trial.card.batch_size}")


#: In this order: what refuses comes before what only warns.
CHECKS: dict[str, Check] = {
    "finite": _is_finite,
    "repeats": _repeats,
    "rows": _rows_are_independent,
    "labels": _labels_matter,
    "latents": _latents_matter,
    "speed": _speed,
}
