"""A process is killed between any two steps of a job, and the rest of the fleet brings the job to its one end."""

import multiprocessing
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import redis
from _pytest.mark import ParameterSet

from service.adapters.storage_folder import FolderStorage
from service.contract import layout
from service.contract.errors import UnknownJob
from service.contract.job import Job, Status
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, job_id_for, submit
from tests.faults import doomed
from tests.faults.points import POINTS, Point
from tests.faults.survivor import Survivor
from tests.fixtures.parts import LIMITS, ask, new_studio
from workers.shard import run_shard

pytestmark = pytest.mark.slow

JOB_ID = job_id_for(ANONYMOUS, "key")
#: Where one step of the order submit, run, commit, finish has happened and the next has not.
QUICK = {1, 3, 5, 6, 7, 8, 9, 13, 15, 19, 21, 22, 23, 26}


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Processes that start in milliseconds, forked from one that has imported what they run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", doomed.__name__])
    return context


def marked(point: Point) -> ParameterSet:
    marks = () if point.number in QUICK else pytest.mark.faults
    return pytest.param(point, marks=marks, id=str(point))


@pytest.mark.parametrize("point", [marked(point) for point in POINTS])
def test_a_kill_at_any_step_changes_nothing(
    forks: ForkServerContext, parts: Parts, redis_url: str, tmp_path: Path, point: Point
) -> None:
    """The job is there, ends once and has exactly the right bytes; no second try was needed by anybody else."""
    _prepare(parts, redis_url, point)
    folder = tmp_path / "objects"
    process = forks.Process(target=doomed.die_at, args=(point, redis_url, folder, JOB_ID))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "the point was never reached"

    survivor = Survivor(redis_url, FolderStorage(folder))
    if point.untold:
        with pytest.raises(UnknownJob):
            describe(survivor.parts, JOB_ID, owner=ANONYMOUS)
        _submitted(survivor.parts)
    job = survivor.live_on(JOB_ID)
    assert job.status == (Status.CANCELLED if point.act == "cancel" else Status.COMPLETED)
    survivor.is_whole(job)
    assert _submitted(survivor.parts) == job, "a replay is told the same"


def _prepare(parts: Parts, redis_url: str, point: Point) -> None:
    """What has happened before the process that dies begins."""
    if point.act == "submit":
        return
    job, studio = _submitted(parts), new_studio(parts)
    if point.act == "sweep":
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
    if point.act == "adopt":
        parts.storage.put(_key(job, 0), b"broken")
    if point.act in ("finish", "reopen"):
        for shard in (0, 1):
            run_shard(studio, job.id, shard)
    if point.act == "reopen":
        parts.storage.delete(_key(job, 0))


def _submitted(parts: Parts) -> Job:
    return submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=JOB_ID).job


def _key(job: Job, index: int) -> str:
    assert job.request is not None
    recipe, size = job.request.recipe, job.request.shard_size
    start = index * size
    return f"{layout.recipe_prefix(recipe.digest)}{start:012d}-{start + size:012d}.zip"
