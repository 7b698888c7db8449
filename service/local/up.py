"""`latentmill up`: the stack, described by settings and flags, until somebody stops it."""

from pathlib import Path

from service.contract.errors import StartRefused
from service.contract.settings import ApiSettings, WorkerSettings, load_settings
from service.local.data_dir import DataDir
from service.local.ports import free_port, is_free
from service.local.stack import Plan, cores, running

FIRST_START = "the first start compiles for about half a minute"


def plan_of(settings: ApiSettings, data_dir: Path, workers: int | None) -> Plan:
    """What to run. Redis and storage are the stack's own unless the environment names others.

    Raises StartRefused when the port is taken.
    """
    port = settings.port or free_port()
    if not is_free(settings.host, port):
        raise StartRefused(
            f"port {port} on {settings.host} is taken: is Latentmill running already? "
            "Stop that server, or choose another with --port"
        )
    named = settings.model_fields_set
    return Plan(
        data_dir=DataDir(data_dir.absolute()),
        host=settings.host,
        port=port,
        workers=workers or _default_workers(),
        redis_url=settings.redis_url.get_secret_value() if "redis_url" in named else None,
        storage_url=settings.storage_url if "storage_url" in named else None,
    )


def _default_workers() -> int:
    # One process per core is fastest on a CPU; a GPU is one device, however many cores feed it.
    return cores() if load_settings(WorkerSettings).device == "cpu" else 1


def run(settings: ApiSettings, data_dir: Path, workers: int | None) -> None:
    """Run until interrupted, then stop everything. Raises StartRefused or ChildDied."""
    plan = plan_of(settings, data_dir, workers)
    print(f"starting Redis, API, sweep and {plan.workers} workers; {FIRST_START}", flush=True)
    try:
        with running(plan) as stack:
            print(
                f"Latentmill is ready at {stack.url} ({plan.workers} workers; data, logs and the "
                f"Celery broker's URL in {plan.data_dir.root}). Ctrl-C stops it.",
                flush=True,
            )
            stack.wait()
    except KeyboardInterrupt:
        # Stopping is what was asked for, and it is done.
        print("stopped", flush=True)
