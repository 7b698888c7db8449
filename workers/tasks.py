"""The Celery functions: they carry, they do not work. Each may be delivered twice."""

import time
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import Reject

from service.adapters.queue import AUDIT_SHARD, DRAW_SAMPLE, GENERATE_JOB, REPAIR_JOB, RUN_SHARD
from service.contract.errors import Unavailable
from service.contract.limits import Limits
from workers.audit import audit_shard
from workers.generate import generate_job
from workers.repair import repair_job
from workers.sample import answer_sample
from workers.shard import Studio, run_shard

log = structlog.get_logger(__name__)

#: Between two tries to accept a job while storage or Redis is away.
WAIT_S = 2.0


def register_tasks(app: Celery, studio: Studio, limits: Limits) -> None:
    """Bind the task names that messages carry to the functions that answer them."""

    @app.task(name=RUN_SHARD)
    def shard(job_id: str, shard: int) -> None:
        with studio.watch.at_work():
            run_shard(studio, str(job_id), int(shard))

    @app.task(name=GENERATE_JOB, bind=True)
    def generate(task: Any, /, *args: Any, **body: Any) -> None:
        with studio.watch.at_work():
            try:
                generate_job(studio.parts, task.request.id, args, body, limits=limits)
            except Unavailable as error:
                # No ledger knows of this message yet: it goes back to its queue, where nothing is lost.
                log.warning("task_waits", job=task.request.id, reason=error.detail)
                time.sleep(WAIT_S)
                raise Reject(error, requeue=True) from error

    @app.task(name=REPAIR_JOB)
    def repair(job_id: str) -> None:
        with studio.watch.at_work():
            repair_job(studio, str(job_id))

    @app.task(name=AUDIT_SHARD)
    def audit(**arguments: Any) -> None:
        with studio.watch.at_work():
            audit_shard(studio, arguments)

    @app.task(name=DRAW_SAMPLE)
    def sample(**arguments: Any) -> None:
        with studio.watch.at_work():
            answer_sample(studio, arguments)
