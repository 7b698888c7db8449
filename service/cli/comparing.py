"""`latentmill compare`: which preset is the best for these images."""

from pathlib import Path
from typing import Annotated

import typer

from export.evaluation.arguments import EvaluationArguments
from export.presets import PRESETS
from service.cli.refusals import check_writable, need_export_extra
from service.contract.settings import default_data_dir


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(compare)


def compare(
    data: Annotated[
        str, typer.Option(help="What to train and judge on, as `latentmill train` takes it.")
    ] = "mnist",
    to: Annotated[
        Path, typer.Option(help="The folder for checkpoints, decoders, reports and the tables.")
    ] = Path("comparison"),
    preset: Annotated[
        list[str] | None,
        typer.Option(help="Take this preset; may be repeated. The first is what speeds relate to."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every training.  \\[the preset's]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Evaluation seeds.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Importance samples for each image.")] = 1000,
    rows: Annotated[
        int | None, typer.Option(min=2, help="Test images for the log-likelihood.  \\[all]")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="A Markdown page with markers for the tables, to update.")
    ] = None,
) -> None:
    """Train and judge every preset on the same images. Needs the `export` extra; takes an hour.

    What is done is kept in the folder: a stopped comparison goes on, a finished one is printed.

    Examples: `latentmill compare --data fashion-mnist`,
    `latentmill compare --data digits --epochs 2 --seeds 1 --samples 50 --to /tmp/comparison`
    """
    need_export_extra()
    names = preset or list(reversed(PRESETS))
    unknown = [name for name in names if name not in PRESETS]
    if unknown:
        raise typer.BadParameter(f"--preset is one of {', '.join(PRESETS)}, not {unknown[0]!r}")
    from rich.console import Console

    from export.comparison.compare import Comparing
    from export.comparison.compare import compare as compared
    from export.comparison.markdown import placed, tables
    from export.files import write_whole
    from export.sources import open_data

    check_writable(to / "comparison.md")
    console = Console(stderr=True)
    arguments = EvaluationArguments(seeds=seeds, likelihood_samples=samples, likelihood_rows=rows)
    images = open_data(data, cache=default_data_dir() / "datasets", console=console)
    found = compared(
        Comparing(images, to, arguments, console, default_data_dir() / "classifiers", epochs), names
    )
    write_whole(to / "comparison.json", found.to_json())
    write_whole(to / "comparison.md", (tables(found) + "\n").encode())
    if into:
        write_whole(into, placed(into.read_text(), found).encode())
    print(tables(found))
