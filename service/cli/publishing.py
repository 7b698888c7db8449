"""`latentmill publish`: a decoder is checked and put where API and workers find it."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.inspection.limits import Limits
from service.cli.table import print_table
from service.contract.card import LARGEST_ONNX_BYTES
from service.contract.errors import DecoderRefused, StartRefused
from service.contract.settings import Settings, load_settings

if TYPE_CHECKING:
    from export.inspection.finding import Finding
    from export.inspection.inspect import Inspection
    from service.contract.card import DecoderCard

DEFAULTS = Limits()


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every check, write nothing.")
    ] = False,
    max_size_mib: Annotated[
        int,
        typer.Option(
            min=1, max=LARGEST_ONNX_BYTES // 2**20, help="Largest ONNX file taken, in MiB."
        ),
    ] = DEFAULTS.size_bytes // 2**20,
    max_time_s: Annotated[
        int, typer.Option(min=1, max=86_400, help="Seconds that all checks may take together.")
    ] = DEFAULTS.time_s,
) -> None:
    """Check a decoder and put it into the storage that LATENTMILL_STORAGE_URL names.

    Any ONNX graph will do, a GAN's generator or somebody's VAE, with the inputs
    `latent` float32 [B, dim] and, for labels, `label` int64 [B]; the output
    `image` uint8 [B, H, W, C]; weights inside; rows independent of each other.
    Every fault is told at once, and nothing faulty is stored.

    A card written by hand needs a name, and the labels in the order of their ids:
    {"name": "my-gan", "labels": ["cat", "dog"]}. The file tells the rest; a graph
    of any batch runs on `batch_size` rows, 256 if the card does not say.

    Published again, a file gets the new card's description, training and quality.

    Needs the `publish` extra. Examples: `latentmill publish decoders/mnist`,
    `latentmill publish decoder.onnx --card card.json --dry-run`
    """
    _need_publish_extra()
    from export.publish import CARD_FILE, ONNX_FILE

    file = source / ONNX_FILE if source.is_dir() else source
    limits = Limits(size_bytes=max_size_mib * 2**20, time_s=max_time_s)
    onnx, inspection = _inspect(file, card or file.parent / CARD_FILE, limits)
    _tell(inspection, everything=dry_run)
    accepted = _accepted(inspection, file)
    if dry_run:
        print(f"{file} keeps its card: {_in_words(accepted)}; nothing was written")
        return
    _store(onnx, accepted, promote=promote)


def _inspect(file: Path, card: Path, limits: Limits) -> "tuple[bytes, Inspection]":
    from export.inspection.draft import read_draft
    from export.inspection.inspect import inspect, read_within

    onnx = read_within(file, limits)
    draft = read_draft(read_within(card, limits), str(card))
    return onnx, inspect(onnx, draft, limits=limits)


def _tell(inspection: "Inspection", *, everything: bool) -> None:
    """All checks as a table, or those that a person should look at, a line each on stderr."""
    if everything:
        print_table(("", "check", "found"), map(_row, inspection.findings))
        return
    several = inspection.refusals if len(inspection.refusals) > 1 else ()
    for finding in (*inspection.warnings, *several):
        print(f"{finding.verdict}: {finding}", file=sys.stderr)


def _row(finding: "Finding") -> tuple[str, str, str]:
    return str(finding.verdict), finding.check, finding.said


def _accepted(inspection: "Inspection", file: Path) -> "DecoderCard":
    if inspection.card:
        return inspection.card
    refusals = inspection.refusals
    told = str(refusals[0]) if len(refusals) == 1 else f"{len(refusals)} faults, told above"
    raise DecoderRefused(f"{file}: {told}; nothing was written")


def _store(onnx: bytes, card: "DecoderCard", *, promote: bool) -> None:
    from export.publish import publish as store
    from service.adapters.storage import open_storage

    settings = load_settings(Settings)
    store(open_storage(settings), onnx, card, promote=promote)
    print(f"published to {settings.storage_url}: {_in_words(card)}")


def _need_publish_extra() -> None:
    extras = {"onnx": "publish", "onnxruntime": "cpu"}
    missing = [name for name in extras if not find_spec(name)]
    if missing:
        raise StartRefused(
            f"checking a decoder needs {' and '.join(missing)}: "
            f"pip install 'latentmill[{','.join(extras[name] for name in missing)}]'"
        )


def _in_words(card: "DecoderCard") -> str:
    return (
        f"decoder {card.name}, sha256 {card.digest[:12]}…, {card.size_bytes:,} bytes, "
        f"{len(card.labels)} labels, batch {card.batch_size}"
    )
