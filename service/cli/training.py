"""`latentmill train | export`: from images to a decoder that may be published."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from export.arguments import TrainingArguments
from service.contract.errors import StartRefused
from service.contract.settings import default_data_dir

if TYPE_CHECKING:
    from service.contract.card import DecoderCard

DEFAULTS = TrainingArguments()


def register(app: typer.Typer) -> None:
    """Add the two commands to the command line."""
    for command in (train, export):
        app.command(rich_help_panel="Make decoders")(command)


def train(
    data: Annotated[
        str,
        typer.Option(
            help="A folder with MNIST's four IDX files (gzipped or plain), `mnist` to download it, "
            "or `digits`, which scikit-learn carries."
        ),
    ] = "mnist",
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")] = Path("checkpoint.pt"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images.")] = DEFAULTS.epochs,
    latent_dim: Annotated[
        int, typer.Option(min=1, max=4096, help="Numbers in a latent.")
    ] = DEFAULTS.latent_dim,
    hidden: Annotated[
        int, typer.Option(min=1, help="Units in each of two hidden layers.")
    ] = DEFAULTS.hidden,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = DEFAULTS.batch_size,
    lr: Annotated[
        float, typer.Option(help="Adam's learning rate; falls to 0 along a cosine.")
    ] = DEFAULTS.learning_rate,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Same seed, same weights.")
    ] = DEFAULTS.seed,
    binarise: Annotated[
        bool, typer.Option("--binarise", help="Redraw pixels as 0 or 1 by their grey level.")
    ] = DEFAULTS.binarise,
) -> None:
    """Train a conditional variational autoencoder. Needs the `export` extra.

    Examples: `latentmill train --data ./mnist --out mnist.pt`,
    `latentmill train --data digits --epochs 5 --latent-dim 8 --hidden 64`
    """
    arguments = _arguments(
        epochs=epochs,
        latent_dim=latent_dim,
        hidden=hidden,
        batch_size=batch_size,
        learning_rate=lr,
        seed=seed,
        binarise=binarise,
    )
    _need_export_extra()
    _check_writable(out)
    _train(data, arguments, out)


def _train(source: str, arguments: TrainingArguments, out: Path) -> None:
    from rich.console import Console

    from export.sources import open_data
    from export.train import train as fit

    data = open_data(source, cache=default_data_dir() / "datasets")
    checkpoint = fit(data, arguments, console=Console())
    checkpoint.save(out)
    found = checkpoint.facts.quality
    print(f"{out}: test negative ELBO {found['test_negative_elbo_nats']:.2f} nats per image")


def export(
    checkpoint: Annotated[Path, typer.Argument(help="What `latentmill train` wrote.")],
    name: Annotated[str, typer.Option(help="The decoder's name in requests.")],
    out: Annotated[Path, typer.Option(help="The folder for decoder.onnx and card.json.")],
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Rows of every forward pass, a power of two; measured if left out.",
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="A sentence for the card.")] = "",
) -> None:
    """Write a checkpoint's decoder as ONNX with its card, checked against PyTorch. Needs `export`.

    Example: `latentmill export mnist.pt --name mnist --out decoders/mnist`
    """
    _need_export_extra()
    _check_writable(out / "decoder.onnx")
    from export.checkpoint import load_checkpoint
    from export.decoder import export_decoder, write_folder

    onnx, card = export_decoder(
        load_checkpoint(checkpoint), name=name, batch_size=batch_size, description=description
    )
    write_folder(out, onnx, card)
    print(f"{out}: {_in_words(card)}; against PyTorch: {card.quality['onnx_against_torch']}")


def _arguments(**given: object) -> TrainingArguments:
    try:
        return TrainingArguments.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{first['loc'][0]}: {first['msg']}") from error


def _need_export_extra() -> None:
    missing = [name for name in ("torch", "onnx", "onnxscript", "sklearn") if not find_spec(name)]
    if missing:
        raise StartRefused(
            f"training and export need {', '.join(missing)}: pip install 'latentmill[export]'"
        )


def _check_writable(path: Path) -> None:
    """Refuse now what would fail after minutes of work."""
    from export.files import write_whole

    probe = path.with_name(f".{path.name}.probe")
    new_folders = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        write_whole(probe, b"")
        probe.unlink()
        for folder in new_folders:
            folder.rmdir()
    except OSError as error:
        raise StartRefused(f"{path} cannot be written: {error.strerror or error}") from error


def _in_words(card: "DecoderCard") -> str:
    return (
        f"decoder {card.name}, sha256 {card.digest[:12]}…, {card.size_bytes:,} bytes, "
        f"{len(card.labels)} labels, batch {card.batch_size}"
    )
