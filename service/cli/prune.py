"""`latentmill prune`: takes away what nobody has used for long, and what the dead left behind."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from service.contract.errors import StartRefused
from service.contract.settings import Settings, load_settings

if TYPE_CHECKING:
    from service.lifecycle.prune import Pruned


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Roles of a deployment")(prune)


def prune(
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="Days since a job last used a shard; LATENTMILL_RETENTION_DAYS if left out.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, delete nothing.")
    ] = False,
) -> None:
    """Delete shards that no job has used for long, and what killed processes left.

    Works on LATENTMILL_STORAGE_URL alone, beside running workers and jobs; shards of jobs that have not ended
    stay, and so do all records: asking again, or a repair, makes the same bytes again. May be interrupted at any time.

    Example: `latentmill prune --older-than 30 --dry-run`
    """
    settings = load_settings(Settings, retention_days=older_than or None)
    age = timedelta(0) if older_than == 0 else settings.retention
    _refuse_missing_folder(settings)
    from service.adapters.storage import open_storage
    from service.cli.progress import counter
    from service.lifecycle import prune as rule

    storage, so_far = open_storage(settings), rule.Pruned()
    try:
        with counter("looking") as show:
            rule.prune(
                storage,
                now=rule.time_of(storage),
                older_than=age,
                dry_run=dry_run,
                pruned=so_far,
                on_removed=lambda pruned: show(pruned.objects.total()),
            )
    finally:
        _tell(so_far, dry_run=dry_run, keeps_shards=age is None)


def _tell(pruned: "Pruned", *, dry_run: bool, keeps_shards: bool) -> None:
    deed = "would delete" if dry_run else "deleted"
    for kind, objects in pruned.objects.items():
        print(f"{deed} {objects:,} {kind}, {pruned.size_bytes[kind]:,} bytes")
    print(f"{deed} {pruned.objects.total():,} objects, {pruned.size_bytes.total():,} bytes")
    if keeps_shards:
        print(
            "shards stay for ever: set LATENTMILL_RETENTION_DAYS or give --older-than",
            file=sys.stderr,
        )


def _refuse_missing_folder(settings: Settings) -> None:
    """Opening a folder makes it; a misspelt one must not look like an empty store."""
    url = urlsplit(settings.storage_url)
    if url.scheme == "file" and not Path(unquote(url.path)).is_dir():
        raise StartRefused(f"there is no folder {unquote(url.path)}: set LATENTMILL_STORAGE_URL")
