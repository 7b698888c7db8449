"""A process that does one thing with the product's own functions and is killed at a point of it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import workers.shard
from service.adapters.ledger import Ledger
from service.adapters.queue import ShardQueue
from service.adapters.storage_folder import FolderStorage
from service.lifecycle.end import cancel
from service.lifecycle.submit import ANONYMOUS, submit
from tests.faults.points import Act, Point
from tests.fixtures.parts import LIMITS, ask, new_parts, new_studio
from workers.sweep import Sweep

#: The shard that the process runs; the last one is what finishes the job.
SHARD_OF: dict[Act, int] = {"run": 0, "adopt": 0, "finish": 2, "reopen": 2}


def die_at(point: Point, redis_url: str, folder: Path, job_id: str) -> None:
    """Returns only when the point was never reached."""
    _arm(point)
    parts = new_parts(redis_url, folder)
    if point.act == "submit":
        submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    elif point.act == "cancel":
        cancel(parts, job_id, owner=ANONYMOUS)
    elif point.act == "sweep":
        Sweep(parts, rebuild_interval_s=0).turn()
    else:
        workers.shard.run_shard(new_studio(parts), job_id, SHARD_OF[point.act])


def _arm(point: Point) -> None:
    part, _, rest = point.where.partition(".")
    method, _, prefix = rest.partition(" ")
    if part == "make":
        _wrap(workers.shard, "make_shard", point, "")
    elif part == "queue":
        _wrap(ShardQueue, "_send", point, "")
    else:
        _wrap({"ledger": Ledger, "storage": FolderStorage}[part], method, point, prefix)


def _wrap(owner: Any, name: str, point: Point, prefix: str) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if prefix and not str(args[1]).startswith(prefix):
            return real(*args, **kwargs)
        if point.when == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(owner, name, deadly)
