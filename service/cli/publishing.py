"""`latentmill publish`: a decoder is checked and put where API and workers find it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.contract.settings import Settings, load_settings

if TYPE_CHECKING:
    from service.contract.card import DecoderCard


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Make decoders")(publish)


def publish(
    source: Annotated[
        Path, typer.Argument(help="A folder that `latentmill export` wrote, or an ONNX file.")
    ],
    card: Annotated[
        Path | None, typer.Option(help="The card; card.json beside the file if left out.")
    ] = None,
    promote: Annotated[bool, typer.Option(help="Make it the decoder that its name means.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only, write nothing.")] = False,
) -> None:
    """Check a decoder and put it into the storage that LATENTMILL_STORAGE_URL names.

    Examples: `latentmill publish decoders/mnist`,
    `latentmill publish decoder.onnx --card card.json --dry-run`
    """
    from export.publish import CARD_FILE, ONNX_FILE, load_files
    from export.publish import publish as store
    from service.adapters.storage import open_storage
    from workers.decoder import Decoder

    file = source / ONNX_FILE if source.is_dir() else source
    onnx, told = load_files(file, card or file.parent / CARD_FILE)
    if dry_run:
        Decoder(onnx, told)
        print(f"{file} keeps its card: {_in_words(told)}; nothing was written")
        return
    settings = load_settings(Settings)
    store(open_storage(settings), onnx, told, promote=promote)
    print(f"published to {settings.storage_url}: {_in_words(told)}")


def _in_words(card: "DecoderCard") -> str:
    return (
        f"decoder {card.name}, sha256 {card.digest[:12]}…, {card.size_bytes:,} bytes, "
        f"{len(card.labels)} labels, batch {card.batch_size}"
    )
