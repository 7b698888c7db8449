"""Train, export and evaluate every preset on one data set; a stopped comparison goes on."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from export.accelerator import CPU
from export.checkpoint import Checkpoint, load_checkpoint
from export.comparison.rows import Comparison, PresetRow, VariantRow
from export.data import DataSet
from export.decoder import export_decoder, write_folder
from export.evaluation.arguments import EvaluationArguments, Measure
from export.evaluation.evaluate import evaluate
from export.evaluation.figures import Spread
from export.evaluation.report import Report
from export.evaluation.report_files import write_report
from export.evaluation.watch import Watch
from export.files import write_whole
from export.precision_report import in_precision, precision_report
from export.presets import DEFAULT_PRESET, PRESETS
from export.publish import load_folder
from export.speed import images_per_s
from export.train import train
from service.contract.card import DecoderCard, Precision
from service.contract.errors import StartRefused
from workers.decoder import Decoder

#: Rows of a forward pass, the same for all: their speeds are compared.
BATCH_SIZE = 256
#: More than for a batch size: the ratio is what the table is for.
SPEED_ROUNDS = 30
_MEASURES = (Measure.FIDELITY, Measure.SCORE, Measure.LIKELIHOOD)


@dataclass(frozen=True)
class Comparing:
    """One comparison under way: its data, its folder, and how it is measured.

    `kept` is the folder of classifiers that were trained before; `epochs` overrule the presets'.
    """

    data: DataSet
    folder: Path
    arguments: EvaluationArguments
    console: Console
    kept: Path | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Trained:
    """One preset's decoder, what an evaluation found of it, and how long its training took."""

    onnx: bytes
    card: DecoderCard
    checkpoint: Checkpoint
    report: Report
    training_s: float


def compare(comparing: Comparing, names: Sequence[str]) -> Comparison:
    """A row for each preset, then the variants of the default one (or the first) in fewer bits.

    Raises what training, export and evaluation raise.
    """
    trained = {name: _trained(comparing, name) for name in names}
    first = next(iter(trained.values()))
    varied = DEFAULT_PRESET if DEFAULT_PRESET in trained else names[0]
    decoders = [Decoder(each.onnx, each.card) for each in trained.values()]
    speeds = images_per_s(decoders, rounds=SPEED_ROUNDS)
    return Comparison(
        data=comparing.data.name,
        machine=f"{torch.get_num_threads()} threads, {platform.machine()}",
        torch=torch.__version__,
        likelihood_samples=comparing.arguments.likelihood_samples,
        likelihood_rows=first.report.likelihood.images if first.report.likelihood else 0,
        reference_accuracy=first.report.reference.accuracy if first.report.reference else None,
        presets=tuple(
            _row(name, each, speed, speeds[0])
            for (name, each), speed in zip(trained.items(), speeds, strict=True)
        ),
        varied=varied,
        variants=_variants(comparing, trained[varied]),
    )


def _trained(comparing: Comparing, name: str) -> Trained:
    folder = comparing.folder / name
    comparing.console.print(f"{name}: {PRESETS[name].reason}", soft_wrap=True)
    checkpoint, training_s = _checkpoint(comparing, name, folder)
    if not (folder / "decoder").is_dir():
        exported = export_decoder(checkpoint, name=name, batch_size=BATCH_SIZE)
        write_folder(folder / "decoder", *exported)
    onnx, card = load_folder(folder / "decoder")
    report = _evaluated(comparing, onnx, card, checkpoint, _MEASURES, folder / "report")
    return Trained(onnx, card, checkpoint, report, training_s)


def _checkpoint(comparing: Comparing, name: str, folder: Path) -> tuple[Checkpoint, float]:
    """The preset trained, and the seconds that took in all the goes it needed."""
    path, clock = folder / "checkpoint.pt", folder / "training_s.json"
    arguments = PRESETS[name].arguments
    if comparing.epochs:
        arguments = arguments.model_copy(update={"epochs": comparing.epochs})
    before_s = json.loads(clock.read_text()) if clock.exists() else 0.0
    if path.exists():
        kept = load_checkpoint(path)
        if kept.facts.arguments != arguments:
            raise StartRefused(f"{path} was trained with other arguments: delete {folder}")
        return kept, before_s
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        state = folder / "unfinished"
        checkpoint = train(
            comparing.data, arguments, accelerator=CPU, console=comparing.console, state=state
        )
    finally:
        took_s = before_s + time.monotonic() - begun
        write_whole(clock, json.dumps(round(took_s, 1)).encode())
    checkpoint.save(path)
    return checkpoint, took_s


def _evaluated(
    comparing: Comparing,
    onnx: bytes,
    card: DecoderCard,
    checkpoint: Checkpoint,
    measures: tuple[Measure, ...],
    folder: Path,
) -> Report:
    kept = folder / "report.json"
    arguments = comparing.arguments.model_copy(update={"measures": measures})
    if kept.exists():
        report = Report.model_validate_json(kept.read_bytes())
        if (report.arguments, report.decoder.digest) == (arguments, card.digest):
            return report
    with Watch(comparing.console) as watch:
        found = evaluate(
            Decoder(onnx, card),
            comparing.data,
            arguments,
            checkpoint=checkpoint,
            kept=comparing.kept,
            watch=watch,
        )
    write_report(folder, found)
    return found.report


def _row(name: str, trained: Trained, speed: float, first: float) -> PresetRow:
    report = trained.report
    assert report.likelihood  # It is among the measures, and there is a checkpoint.
    return PresetRow(
        preset=name,
        fidelity=_fidelity(report),
        score=report.score.score if report.score else None,
        nll=report.likelihood.nll,
        nll_standard_error=report.likelihood.standard_error,
        size_bytes=trained.card.size_bytes,
        images_per_s=round(speed),
        speed_to_first=round(speed / first, 2),
        epochs=len(trained.checkpoint.facts.history),
        training_s=round(trained.training_s, 1),
    )


def _variants(comparing: Comparing, trained: Trained) -> tuple[VariantRow, ...]:
    """The decoder in fp32, fp16 and int8."""
    figures = precision_report(trained.onnx, trained.card, rounds=SPEED_ROUNDS)
    return tuple(
        VariantRow(
            precision=each.precision,
            size_bytes=each.size_bytes,
            speed_to_fp32=round(each.speed_to_fp32, 2),
            largest_difference_levels=each.apart.largest,
            mean_difference_levels=float(f"{each.apart.mean:.2g}"),
            fidelity=_variant_fidelity(comparing, trained, each.precision),
        )
        for each in figures
    )


def _variant_fidelity(
    comparing: Comparing, trained: Trained, precision: Precision
) -> Spread | None:
    if not trained.card.labels:
        return None
    onnx, card = in_precision(trained.onnx, trained.card, precision)
    folder = comparing.folder / f"in-{precision}"
    report = _evaluated(comparing, onnx, card, trained.checkpoint, (Measure.FIDELITY,), folder)
    return _fidelity(report)


def _fidelity(report: Report) -> Spread | None:
    return report.fidelity.fidelity if report.fidelity else None
