"""What a decoder does when it runs: each promise of the contract tried on its images."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime

from export.inspection.finding import Finding, Line, first_line, ok, refused, warning
from export.inspection.probe import Point, probed
from export.inspection.trial import Trial
from service.contract.card import LABEL_INPUT, LATENT_INPUT
from workers.decoder import LabelIds, session_options
from workers.latents import Latents

#: The usual temperature, and the highest that a request may ask for.
TEMPERATURES = (1.0, 2.0)

#: Latents that all labels draw, before two labels are called alike.
_TRIED_LATENTS = 4

_SPEED_S = 0.5

Check = Callable[[Trial], Finding]


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
    for threads, fault in ((1, "the same latents drawn twice"), (2, "one thread and two")):
        pairs = zip(
            trial.draw(latents, ids), trial.draw(latents, ids, threads=threads), strict=True
        )
        if not all(np.array_equal(one, other) for one, other in pairs):
            return refused("repeats", f"{fault} give two images")
    return ok("repeats", "same latents, same bytes; on one thread and on two")


def _rows_are_independent(trial: Trial) -> Finding:
    if trial.card.batch_size == 1:
        return ok("rows", "a batch of one has no neighbours")
    latents, ids = trial.latents(), trial.label_ids()
    (reference,) = trial.draw(latents, ids)
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        for other, other_ids in _neighbours(trial):
            other[rows], other_ids[rows] = latents[rows], ids[rows]
            (images,) = trial.draw(other, other_ids)
            if not np.array_equal(images[rows], reference[rows]):
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
    images = trial.fingerprints(latents, np.zeros(len(latents), np.int64))
    distinct = len(set(images))
    said = f"{distinct} of {len(images)} latents draw an image of their own"
    return ok("latents", said) if distinct > len(images) / 2 else warning("latents", said)


def _labels_matter(trial: Trial) -> Finding:
    labels = trial.card.labels
    if len(labels) < 2:
        return ok("labels", f"{len(labels)} labels: nothing to tell apart")
    drawn: dict[tuple[str, ...], str] = {}
    for label, images in zip(labels, _images_of_labels(trial), strict=True):
        twin = drawn.setdefault(images, label)
        if twin != label:
            return warning("labels", f"{twin} and {label} draw the same images: too many labels?")
    return ok("labels", f"{len(labels)} labels, each draws images of its own")


def _images_of_labels(trial: Trial) -> list[tuple[str, ...]]:
    """For every label the fingerprints of its images of the same few latents."""
    few, count = trial.latents(_TRIED_LATENTS)[:_TRIED_LATENTS], len(trial.card.labels)
    rows = -(-count // trial.card.batch_size) * trial.card.batch_size
    ids = np.arange(rows) % count
    each = [trial.fingerprints(np.repeat(latent[None], rows, 0), ids)[:count] for latent in few]
    return list(zip(*each, strict=True))


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
