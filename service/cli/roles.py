"""`latentmill api | worker | sweep`: one role of a deployment, set up by LATENTMILL_ variables."""

from typing import Annotated

import typer

from service.contract.settings import ApiSettings, SweepSettings, WorkerSettings, load_settings

_PANEL = "Roles of a deployment"


def register(app: typer.Typer) -> None:
    """Add the three roles, and what prepares a machine for one, to the command line."""
    for command in (api, worker, sweep):
        app.command(rich_help_panel=_PANEL)(command)
    app.command("compile", rich_help_panel=_PANEL)(compile_kernels)


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the HTTP API.

    Example: `LATENTMILL_REDIS_URL=redis://… LATENTMILL_STORAGE_URL=s3://… latentmill api`
    """
    settings = load_settings(ApiSettings, host=host, port=port)
    from service.api.app import main

    raise typer.Exit(main(settings))


def worker(
    device: Annotated[str | None, typer.Option(help="`cpu` or `cuda`.")] = None,
    cores: Annotated[int | None, typer.Option(help="Shards to make at once.")] = None,
    slots: Annotated[
        int | None, typer.Option(help="Shards in hand at once, those being stored included.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="ONNX Runtime threads per pass.")] = None,
) -> None:
    """Run a worker: takes shards off the queue, decodes, stores archives.

    Example: `latentmill worker --device cuda --cores 16 --slots 32`
    """
    settings = load_settings(
        WorkerSettings, device=device, cores=cores, slots=slots, decoder_threads=threads
    )
    from workers.app import main

    raise typer.Exit(main(settings))


def sweep() -> None:
    """Run the sweep: looks for work that stopped moving. One per deployment is enough."""
    settings = load_settings(SweepSettings)
    from workers.sweep import main

    raise typer.Exit(main(settings))


def compile_kernels() -> None:
    """Compile the encoders now: an image build or an install does it, so that no worker has to when it starts.

    The compiled code is kept in `NUMBA_CACHE_DIR`, or in the user's cache; it fits this kind of processor.
    """
    from workers.warm import compile_kernels as compile_all

    compile_all()
    from workers.kernel.compiling import compiled_code

    print(f"compiled encoders are in {compiled_code()}")
