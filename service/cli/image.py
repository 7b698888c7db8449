"""`latentmill image`: one image, at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.connection import Url, connect


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Jobs on a server")(image)


def image(
    decoder: Annotated[str, typer.Argument(help="Decoder, as `name` or `name@digest`.")],
    label: Annotated[
        str | None, typer.Argument(help="Class to draw; left out for a decoder without labels.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the request.")] = ...,  # type: ignore[assignment]
    index: Annotated[int, typer.Option(min=0, help="Which of its images.")] = 0,
    temperature: Annotated[
        float, typer.Option(min=0.001, max=2, help="Below 1: purer, less varied.")
    ] = 1.0,
    to: Annotated[
        Path | None, typer.Option(help="Where to write the PNG; `-` for standard output.")
    ] = None,
    url: Url = None,
) -> None:
    """Draw one image of a request, before or after any job ran; prints the file's name.

    It is the image that every archive of such a request holds under this index.
    Example: `latentmill image mnist 3 --seed 42 --index 17 --to three.png`
    """
    with connect(url) as client:
        png = client.image(decoder, label, seed=seed, index=index, temperature=temperature)
    if to == Path("-"):
        sys.stdout.buffer.write(png)
        return
    path = to or Path(f"{decoder.partition('@')[0]}-{label or 'image'}-{seed}-{index}.png")
    path.write_bytes(png)
    print(path)
