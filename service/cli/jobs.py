"""`latentmill submit | status | list | cancel`: jobs on a server."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.amounts import how_many, tags_of
from service.cli.connection import AsJson, JobId, Url, connect
from service.cli.table import print_table
from service.cli.words import describe, in_words, row
from service.contract.job import Job, Status
from service.contract.recipe import Compression, Format
from service.contract.request import Priority

if TYPE_CHECKING:
    from latentmill import Client

_PANEL = "Jobs on a server"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (submit, status, cancel, overlap):
        app.command(rich_help_panel=_PANEL)(command)
    app.command("list", rich_help_panel=_PANEL)(list_jobs)


def submit(
    decoder: Annotated[str, typer.Argument(help="Decoder, as `name` or `name@digest`.")],
    label: Annotated[
        str | None, typer.Argument(help="Class to draw; left out for a decoder without labels.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many images.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="An exact mix in place of a label and a count: `3=200,8=100`."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="A mix of --count images in these proportions: `3=2,8=1`.")
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(help="What data has of each label: make what its rarer ones lack."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Same seed, same images; drawn if left out.")
    ] = None,
    format: Annotated[
        Format,
        typer.Option(
            help="What the archives are: PNG files in zip, tar (WebDataset) or parquet (Hugging Face), or npz arrays."
        ),
    ] = Format.ZIP,
    temperature: Annotated[
        float, typer.Option(min=0.001, max=2, help="Below 1: purer, less varied.")
    ] = 1.0,
    compression: Annotated[
        Compression, typer.Option(help="How hard the encoder tries.")
    ] = Compression.FAST,
    shard_size: Annotated[
        int | None, typer.Option(min=1024, help="Images per archive, a multiple of 1024.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="An https URL that is told when the job has ended.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="`name=value` to find the job by; may be given again.")
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="Before or after your other jobs; other owners' are as before.")
    ] = Priority.NORMAL,
    expires_in_s: Annotated[
        int | None, typer.Option(min=1, help="Fail if nothing was begun after so many seconds.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sending the same key again gives the same job.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the job has ended.")] = False,
    download: Annotated[
        Path | None, typer.Option(help="Wait, then put the archives into this folder.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Ask for images; prints the job's id.

    Examples: `latentmill submit mnist 3 --count 1000 --seed 42`,
    `latentmill submit mnist 7 --count 5000 --download ./sevens`,
    `latentmill submit mnist --labels 3=200,8=100`
    """
    what = how_many(label, count, labels, weights, balance) | {
        "seed": seed,
        "format": format,
        "temperature": temperature,
        "compression": compression,
        "shard_size": shard_size,
    }
    with connect(url) as client:
        job = client.submit(
            decoder,
            label,
            webhook=webhook,
            tags=tags_of(tag),
            priority=priority,
            expires_in_s=expires_in_s,
            idempotency_key=idempotency_key,
            **what,
        )
        print(f"{job.status}: {in_words(job.request)}", file=sys.stderr)
        # Told before the wait: whoever interrupts it still knows which job goes on.
        print(_as_json(job) if as_json else job.id, flush=True)
        if wait or download:
            _wait(client, job)
        if download:
            _download(client, job, download)


def _wait(client: "Client", job: Job) -> None:
    from service.cli.progress import job_bar

    with job_bar("generating") as show:
        done = client.wait(job, on_progress=show)
    print(describe(done).partition("\n")[2], file=sys.stderr)


def _download(client: "Client", job: Job, folder: Path) -> None:
    from service.cli.archives import fetch

    fetch(client, job.id, folder, extract=False)


def status(job: JobId, as_json: AsJson = False, url: Url = None) -> None:
    """Show where a job is.

    Example: `latentmill status 0b1c… --json | jq -r .status`
    """
    with connect(url) as client:
        found = client.job(job)
    print(_as_json(found) if as_json else describe(found))


def list_jobs(
    status: Annotated[Status | None, typer.Option(help="Only jobs with this status.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only jobs with this `name=value`, and the next.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List jobs, newest first.

    Example: `latentmill list --status failed --tag run=night --limit 5`
    """
    with connect(url) as client:
        jobs = list(client.jobs(status=status, tags=tags_of(tag), limit=limit))
    if as_json:
        print(json.dumps([_plain(job) for job in jobs], indent=1))
        return
    print_table(("job", "status", "done", "request", "created"), map(row, jobs))


def cancel(job: JobId, url: Url = None) -> None:
    """Stop a job; what is stored already stays readable."""
    with connect(url) as client:
        print(client.cancel(job).status)


def overlap(
    job: JobId,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other job's id.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Tell whether two jobs share images, by their requests alone; exit code 1 where they do.

    A test set should share neither images nor latents with its training set: give it another seed.

    Example: `latentmill overlap 0b1c… 9f3e…`
    """
    with connect(url) as client:
        shared = client.overlap(job, other)
    if as_json:
        print(shared.model_dump_json(indent=1))
    elif shared.images:
        print(
            f"{shared.images:,} images are in both; {shared.latents:,} samples share their latents"
        )
    elif shared.latents:
        print(
            f"no image of one is in the other, but {shared.latents:,} samples share their latents"
        )
    else:
        print("disjoint: no image of one is in the other")
    raise typer.Exit(1 if shared.images else 0)


def _plain(job: Job) -> Any:
    return job.model_dump(mode="json")


def _as_json(job: Job) -> str:
    return json.dumps(_plain(job), indent=1)
