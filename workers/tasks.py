"""The Celery functions: they carry, they do not work. Each may be delivered twice."""

from typing import Any

import structlog
from celery import Celery

from service.adapters.queue import GENERATE_JOB, REPAIR_JOB, RUN_SHARD
from service.lifecycle.submit import Limits
from workers.generate import generate_job
from workers.repair import repair_job
from workers.shard import Studio, run_shard

log = structlog.get_logger(__name__)


def register_tasks(app: Celery, studio: Studio, limits: Limits) -> None:
    """Bind the task names that messages carry to the functions that answer them."""

    @app.task(name=RUN_SHARD)
    def shard(job_id: str, shard: int) -> None:
        run_shard(studio, str(job_id), int(shard))

    @app.task(name=GENERATE_JOB, bind=True)
    def generate(task: Any, *args: Any, **body: Any) -> None:
        generate_job(studio.parts, task.request.id, args, body, limits=limits)

    @app.task(name=REPAIR_JOB)
    def repair(job_id: str) -> None:
        repair_job(studio, str(job_id))
