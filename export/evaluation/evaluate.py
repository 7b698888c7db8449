"""From a decoder and data to a report: every measure that was asked for and can be taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from export.checkpoint import Checkpoint
from export.data import DataSet
from export.evaluation.arguments import EvaluationArguments, Measure
from export.evaluation.augmentation import naive_augmentation_score
from export.evaluation.bench import Bench
from export.evaluation.bound import bound_on_test, log_likelihood
from export.evaluation.fidelity import label_fidelity
from export.evaluation.galleries import Gallery, closest_pairs, galleries
from export.evaluation.learning_curve import learning_curve
from export.evaluation.lessons import Lessons
from export.evaluation.manifold import manifold
from export.evaluation.neighbours import nearest_training_neighbours
from export.evaluation.repeatable import repeatable
from export.evaluation.report import Judged, JudgedBy, Report
from export.evaluation.score import classification_accuracy_score
from export.evaluation.temperature import fidelity_by_temperature
from export.evaluation.watch import Watch
from service.contract.card import DecoderCard
from service.contract.errors import StartRefused
from service.contract.value import Value
from workers.decoder import Decoder

_FIGURES: Mapping[Measure, Callable[[Bench], Value]] = {
    Measure.FIDELITY: label_fidelity,
    Measure.SCORE: classification_accuracy_score,
    Measure.AUGMENTATION: naive_augmentation_score,
    Measure.MANIFOLD: manifold,
    Measure.NEIGHBOURS: nearest_training_neighbours,
    Measure.TEMPERATURE: fidelity_by_temperature,
    Measure.BOUND: bound_on_test,
    Measure.LIKELIHOOD: log_likelihood,
    Measure.CURVE: learning_curve,
}
_NEED_LABELS = {Measure.FIDELITY, Measure.SCORE, Measure.AUGMENTATION, Measure.TEMPERATURE}
#: Whose figures mean something only beside what the reference classifier reads of real images.
_JUDGED = _NEED_LABELS | {Measure.MANIFOLD, Measure.NEIGHBOURS}
_NEED_CHECKPOINT = {Measure.BOUND, Measure.LIKELIHOOD, Measure.CURVE}


@dataclass(frozen=True)
class Evaluation:
    """Figures, and the pictures that stand beside them on the page."""

    report: Report
    galleries: tuple[Gallery, ...]


def evaluate(
    decoder: Decoder,
    data: DataSet,
    arguments: EvaluationArguments,
    *,
    checkpoint: Checkpoint | None = None,
    kept: Path | None = None,
    watch: Watch | None = None,
    threads: int | None = None,
) -> Evaluation:
    """Take every measure. Same arguments, versions and threads: same report and pictures.

    Trained classifiers are kept in the folder `kept`. Raises DataSetInvalid for data that is not the
    decoder's, CheckpointInvalid for another's checkpoint, StartRefused where no measure can be taken.
    """
    threads = threads or torch.get_num_threads()
    lessons = Lessons(data.shape, len(data.labels), kept)
    bench = Bench(decoder, data, arguments, lessons, watch or Watch(), threads, checkpoint)
    if checkpoint:
        # Another decoder's checkpoint is told before minutes of work.
        _ = bench.model
    left_out = {measure: why for measure in Measure if (why := _why_not(measure, bench))}
    _check_something_is_left(arguments, left_out)
    with repeatable(arguments.seed, threads):
        found = {
            str(measure): take(bench)
            for measure, take in _FIGURES.items()
            if measure not in left_out
        }
        report = Report.model_validate(
            {
                "decoder": _judged(decoder.card),
                "data": _judged_by(data),
                "arguments": arguments,
                "rests_on": _rests_on(threads),
                "reference": bench.reference if data.labels and _JUDGED & found.keys() else None,
                "left_out": left_out,
                **found,
            }
        )
        return Evaluation(report, _pictures(bench, report))


def _pictures(bench: Bench, report: Report) -> tuple[Gallery, ...]:
    if Measure.PICTURES in report.left_out:
        return ()
    pairs = (closest_pairs(bench, report.neighbours),) if report.neighbours else ()
    return (*galleries(bench), *pairs)


def _why_not(measure: Measure, bench: Bench) -> str | None:
    if measure not in bench.arguments.measures:
        return "not asked for"
    if measure in _NEED_LABELS and not bench.decoder.card.labels:
        return "the decoder takes no label"
    if measure in _NEED_CHECKPOINT and bench.checkpoint is None:
        return "it needs the encoder: give --checkpoint"
    return None


def _check_something_is_left(
    arguments: EvaluationArguments, left_out: Mapping[Measure, str]
) -> None:
    if all(measure in left_out for measure in Measure):
        whys = [f"{measure}: {left_out[measure]}" for measure in arguments.measures]
        raise StartRefused(f"nothing is left to measure ({'; '.join(whys) or 'all is skipped'})")


def _rests_on(threads: int) -> dict[str, str | int]:
    return {
        "latentmill": version("latentmill"),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "pillow": version("pillow"),
        "threads": threads,
    }


def _judged(card: DecoderCard) -> Judged:
    return Judged(**{name: getattr(card, name) for name in Judged.model_fields})


def _judged_by(data: DataSet) -> JudgedBy:
    return JudgedBy(
        name=data.name,
        files=dict(data.files),
        train=len(data.train),
        validation=len(data.validation),
        test=len(data.test),
    )
