"""`latentmill export`: from a checkpoint to a decoder that may be published."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.refusals import check_writable, need_export_extra

if TYPE_CHECKING:
    from service.contract.card import DecoderCard


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(export)


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
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            help="fp16 keeps weights in half the bytes, int8 multiplies in integers; the card says "
            "which it is and how far its pixels move."
        ),
    ] = "fp32",
    description: Annotated[str, typer.Option(help="A sentence for the card.")] = "",
) -> None:
    """Write a checkpoint's decoder as ONNX with its card, checked against PyTorch. Needs `export`.

    Example: `latentmill export mnist.pt --name mnist --out decoders/mnist`
    """
    need_export_extra()
    check_writable(out / "decoder.onnx")
    from export.checkpoint import load_checkpoint
    from export.decoder import export_decoder, write_folder

    onnx, card = export_decoder(
        load_checkpoint(checkpoint),
        name=name,
        batch_size=batch_size,
        precision=precision,
        description=description,
    )
    write_folder(out, onnx, card)
    print(f"{out}: {_in_words(card)}; against PyTorch: {card.quality['onnx_against_torch']}")


def _in_words(card: "DecoderCard") -> str:
    return (
        f"decoder {card.name}, sha256 {card.digest[:12]}…, {card.size_bytes:,} bytes, "
        f"{len(card.labels)} labels, batch {card.batch_size}"
    )
