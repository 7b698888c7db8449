"""`latentmill download | verify`: a job's archives, brought here and held against the manifest."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.connection import JobId, Url, connect

if TYPE_CHECKING:
    from latentmill import Client, Verification

_PANEL = "Jobs on a server"


def register(app: typer.Typer) -> None:
    """Add both commands to the command line."""
    for command in (download, verify):
        app.command(rich_help_panel=_PANEL)(command)


def download(
    job: JobId,
    to: Annotated[Path | None, typer.Option(help="Folder; ./ID if left out.")] = None,
    extract: Annotated[
        bool,
        typer.Option(
            "--extract",
            help="Also unpack all images of zip, tar or parquet into one folder, `images`.",
        ),
    ] = False,
    url: Url = None,
) -> None:
    """Fetch a completed job's archives and its manifest, each checked. Goes on where it stopped.

    Example: `latentmill download 0b1c… --to ./threes --extract`
    """
    with connect(url) as client:
        fetch(client, job, to or Path(job), extract=extract)


def fetch(client: "Client", job: str, folder: Path, *, extract: bool) -> None:
    """Download with a progress bar and tell what came."""
    from latentmill.extract import extract as unpack

    from service.cli.progress import bar

    with bar("downloading", in_bytes=True) as show:
        paths = client.download(job, folder, show)
    size = sum(path.stat().st_size for path in paths)
    print(f"{folder}: {len(paths):,} archives, {size:,} bytes, checked", file=sys.stderr)
    if extract:
        print(f"{unpack(folder)}: unpacked, with metadata.csv", file=sys.stderr)


def verify(
    what: Annotated[
        str, typer.Argument(metavar="FOLDER|ID", help="A downloaded folder, or a job's id.")
    ],
    url: Url = None,
) -> None:
    """Hold every archive's bytes and pixels against the manifest; exit code 1 when any is broken.

    Examples: `latentmill verify ./threes` needs no server, `latentmill verify 0b1c…` reads from it.
    """
    found = _verify(what, url)
    for fault in found.faults:
        where = f"shard {fault.index} (samples {fault.start} to {fault.stop - 1}), {fault.file}"
        print(f"{where}: {fault.problem}")
    intact = found.shards - len(found.faults)
    print(
        f"job {found.id}: {intact:,} of {found.shards:,} archives intact, {found.samples:,} images"
    )
    raise typer.Exit(0 if found.is_intact else 1)


def _verify(what: str, url: str | None) -> "Verification":
    from latentmill import verify_folder

    from service.cli.progress import bar

    with bar("verifying") as show:
        if Path(what).exists():
            return verify_folder(Path(what), show)
        with connect(url) as client:
            return client.verify(what, show)
