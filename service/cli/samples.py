"""`latentmill samples`: a picture of what a decoder draws."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(samples)


def samples(
    decoder: Annotated[
        str, typer.Argument(help="A decoder that ships with Latentmill, or a folder of `export`.")
    ] = "mnist",
    to: Annotated[Path, typer.Option(help="Where to write the PNG.")] = Path("samples.png"),
    columns: Annotated[int, typer.Option(min=1, max=1024, help="Samples of each label.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Which samples.")] = 42,
) -> None:
    """Draw samples of every label, one row each; no server is needed.

    A column is one latent: the same handwriting through all labels.
    Example: `latentmill samples mnist --to samples.png`
    """
    from export.publish import load_folder, read_bundled
    from service.local.samples import draw_samples

    onnx, card = load_folder(Path(decoder)) if Path(decoder).is_dir() else read_bundled(decoder)
    draw_samples(onnx, card, to, columns=columns, seed=seed)
    print(to)
