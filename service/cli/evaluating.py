"""`latentmill evaluate`: the quality report of a decoder."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from export.evaluation.arguments import QUICK, EvaluationArguments, Measure
from service.cli.refusals import check_writable
from service.contract.settings import default_data_dir

if TYPE_CHECKING:
    from export.evaluation.evaluate import Evaluation
    from export.evaluation.report import Report

DEFAULTS = EvaluationArguments()
_MEASURES = ", ".join(Measure)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(evaluate)


def evaluate(
    decoder: Annotated[
        str, typer.Argument(help="A folder of `export`, or a decoder that ships with Latentmill.")
    ],
    data: Annotated[
        str, typer.Option(help="The data that it was trained on, as `latentmill train` takes it.")
    ] = "mnist",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="What `latentmill train` wrote. Without its encoder there is no bound, no "
            "likelihood and no reconstruction."
        ),
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder for report.html and report.json.")] = Path(
        "report"
    ),
    seed: Annotated[int, typer.Option(min=0, help="The first evaluation seed.")] = DEFAULTS.seed,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Evaluation seeds: figures are mean and spread over them.  \\[3]"),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Latents per image for the log-likelihood.  \\[5000]"),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=2, help="Test images for the log-likelihood.  \\[all]"),
    ] = None,
    marginal: Annotated[
        bool,
        typer.Option(
            "--marginal", help="Log-likelihood of the image alone, summed over labels: longer."
        ),
    ] = False,
    only: Annotated[
        list[Measure] | None, typer.Option(help="Take this measure alone; may be repeated.")
    ] = None,
    skip: Annotated[
        list[Measure] | None, typer.Option(help="Leave this measure out; may be repeated.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: one seed, short trainings, few samples.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of torch; part of what figures rest on.")
    ] = None,
    card: Annotated[
        bool | None,
        typer.Option(
            "--card/--no-card",
            help="Write the headline figures into the folder's card.json.  \\[yes, but for --quick]",
        ),
    ] = None,
) -> None:
    """Measure a decoder and write a page that says how good it is. Needs the `export` extra.

    An independent classifier, trained on the real images, reads what the decoder draws; others are
    trained on drawn images alone and read the real test images. The first run takes minutes for each
    seed; what was trained is kept, so that a stopped run goes on and a second one is quick.

    Examples: `latentmill evaluate mnist --quick`,
    `latentmill evaluate decoders/mnist --data mnist --checkpoint mnist.pt --to report`,
    `latentmill evaluate mnist --only fidelity --only score --seeds 5`
    """
    given = {
        "seed": seed,
        "seeds": seeds,
        "likelihood_samples": samples,
        "likelihood_rows": rows,
        "marginal": marginal,
        "measures": _measures(only, skip),
    }
    arguments = _arguments(given, quick=quick)
    check_writable(to / "report.json")
    begun = time.monotonic()
    found = _evaluate(decoder, data, checkpoint, arguments, threads)
    _write(found, to, Path(decoder) if (not quick if card is None else card) else None)
    _print(found.report, to, time.monotonic() - begun)


def _measures(only: list[Measure] | None, skip: list[Measure] | None) -> tuple[Measure, ...]:
    asked = tuple(
        each for each in Measure if each in (only or Measure) and each not in (skip or ())
    )
    if not asked:
        raise typer.BadParameter("--skip leaves no measure; name another by --only")
    return asked


def _arguments(given: Mapping[str, object], *, quick: bool) -> EvaluationArguments:
    told = {name: value for name, value in given.items() if value is not None}
    try:
        return EvaluationArguments.model_validate((QUICK if quick else {}) | told)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{first['loc'][0]}: {first['msg']}") from error


def _evaluate(
    decoder: str,
    source: str,
    checkpoint: Path | None,
    arguments: EvaluationArguments,
    threads: int | None,
) -> "Evaluation":
    from rich.console import Console

    from export.checkpoint import load_checkpoint
    from export.evaluation.evaluate import evaluate as measured
    from export.evaluation.watch import Watch
    from export.publish import load_folder, read_bundled
    from export.sources import open_data
    from workers.decoder import Decoder

    onnx, card = load_folder(Path(decoder)) if Path(decoder).is_dir() else read_bundled(decoder)
    trained = load_checkpoint(checkpoint) if checkpoint else None
    data = open_data(source, cache=default_data_dir() / "datasets")
    with Watch(Console(stderr=True)) as watch:
        return measured(
            Decoder(onnx, card),
            data,
            arguments,
            checkpoint=trained,
            kept=default_data_dir() / "classifiers",
            watch=watch,
            threads=threads,
        )


def _write(found: "Evaluation", to: Path, decoder: Path | None) -> None:
    from export.evaluation.report_files import tell_card, write_report

    write_report(to, found)
    # A bundled decoder has no folder, and its card is not a user's to change.
    if decoder and decoder.is_dir():
        tell_card(decoder, found.report)


def _print(report: "Report", folder: Path, took_s: float) -> None:
    from export.evaluation.page import percent, spread_in_words

    shares = {
        "label fidelity": report.fidelity and report.fidelity.fidelity,
        "classification accuracy score": report.score and report.score.score,
        "coverage": report.manifold and report.manifold.coverage,
    }
    if report.reference:
        print(f"reference classifier, real test images: {percent(report.reference.accuracy)}")
    for name, share in shares.items():
        if share:
            print(f"{name}: {percent(share.mean)} {spread_in_words(share)}".rstrip())
    if report.likelihood:
        given = "x" if report.likelihood.marginal else "x|label"
        error = report.likelihood.standard_error
        print(f"-log p({given}): {report.likelihood.nll:.2f} ± {error:.2f} nats")
    print(f"{folder / 'report.html'} after {took_s:.0f} s")
