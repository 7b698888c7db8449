"""`latentmill up | demo`: everything on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.settings import ApiSettings, default_data_dir, load_settings

_PANEL = "One machine"

Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; one per processor core if left out.")
]


def register(app: typer.Typer) -> None:
    """Add both commands to the command line."""
    for command in (up, demo):
        app.command(rich_help_panel=_PANEL)(command)


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks one.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept; ~/.local/share/latentmill.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Run everything on this machine until Ctrl-C: Redis, storage, API, workers, sweep.

    Brings its own Redis unless LATENTMILL_REDIS_URL names one, and keeps objects in a folder unless
    LATENTMILL_STORAGE_URL names an S3 bucket. Example: `latentmill up --port 8000 --workers 4`
    """
    settings = load_settings(ApiSettings, host=host, port=port)
    from service.local import interrupt
    from service.local.up import run

    interrupt.listen()
    run(settings, data_dir or default_data_dir(), workers)


def demo(
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 10_000,
    label: Annotated[str, typer.Option(help="Which digit.")] = "3",
    seed: Annotated[int, typer.Option(min=0, help="Which images of it.")] = 42,
    to: Annotated[Path, typer.Option(help="Folder for archives and contact sheet.")] = Path(
        "latentmill-demo"
    ),
    workers: Workers = None,
) -> None:
    """Bring everything up, generate images over HTTP, verify them, measure, and clean up.

    Example: `latentmill demo --label 7 --count 100000`
    """
    from service.local import interrupt
    from service.local.demo import run

    interrupt.listen()
    run(count=count, label=label, seed=seed, to=to, workers=workers)
