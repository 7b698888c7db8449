"""`latentmill download | verify | repair | croissant`: a job's archives, brought here, checked, made again, told of."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.connection import JobId, Url, connect
from service.cli.proving import PublicKey
from service.contract.repair import RepairReport, RepairStatus

if TYPE_CHECKING:
    from latentmill import Client, Verification

_PANEL = "Jobs on a server"
_LOOK_S = 0.3


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (download, verify, repair, croissant):
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
    public_key: PublicKey = None,
    url: Url = None,
) -> None:
    """Hold every archive's bytes and pixels against the manifest; exit code 1 when any is broken.

    With a public key also the manifest against its signature. Examples: `latentmill verify ./threes` needs no server,
    `latentmill verify 0b1c…` reads from it, `latentmill verify ./threes --public-key lmpk_…`.
    """
    found = _verify(what, url, public_key)
    if found.manifest_problem:
        print(f"the manifest {found.manifest_problem}")
    for fault in found.faults:
        where = f"shard {fault.index} (samples {fault.start} to {fault.stop - 1}), {fault.file}"
        print(f"{where}: {fault.problem}")
    intact = found.shards - len(found.faults)
    print(
        f"job {found.id}: {intact:,} of {found.shards:,} archives intact, {found.samples:,} images"
    )
    raise typer.Exit(0 if found.is_intact else 1)


def _verify(what: str, url: str | None, public_key: str | None) -> "Verification":
    from latentmill import verify_folder

    from service.cli.progress import bar

    with bar("verifying") as show:
        if Path(what).exists():
            return verify_folder(Path(what), show, public_key=public_key)
        with connect(url) as client:
            return client.verify(what, show, public_key=public_key)


def croissant(
    what: Annotated[
        str, typer.Argument(metavar="FOLDER|ID", help="A downloaded folder, or a job's id.")
    ],
    url: Url = None,
) -> None:
    """Print a job as a data set for other tools: a Croissant 1.0 card (JSON-LD).

    Of a folder it names the archives beside it: `latentmill croissant ./threes > ./threes/croissant.json`, and
    `mlcroissant.Dataset("threes/croissant.json")` reads them. Of a job's id it names the server's addresses.
    """
    from latentmill.folder import croissant_of_folder

    if Path(what).exists():
        card = croissant_of_folder(Path(what))
    else:
        with connect(url) as client:
            card = client.croissant(what)
    print(json.dumps(card, indent=1))


def repair(job: JobId, url: Url = None) -> None:
    """Make a completed job's broken, missing or expired archives again, with the same bytes; waits for the end.

    Exit code 1 when one cannot be made again where the service runs now; it is left as it is then.

    Example: `latentmill repair 0b1c…`
    """
    with connect(url) as client:
        report = _repaired(client, job)
    for index, reason in report.unrepairable.items():
        print(f"shard {index}: {reason}" if index else reason)
    print(
        f"job {job}: {report.shards_checked:,} archives checked, {len(report.repaired):,} repaired"
    )
    raise typer.Exit(0 if report.status == RepairStatus.COMPLETED else 1)


def _repaired(client: "Client", job: str) -> RepairReport:
    report = client.repair(job)
    while report.finished_at is None:
        # Whoever interrupts the wait does not interrupt the repair.
        time.sleep(_LOOK_S)
        report = client.repair_report(job)
    return report
