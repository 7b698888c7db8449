"""What is around a fleet of real processes goes wrong: network, disk, Redis, S3, old messages, sweeps that die."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from export.publish import publish
from service.adapters.queue import BULK
from service.adapters.storage import Storage
from service.contract import layout
from service.contract.job import Job, Status
from service.contract.shard import all_shards
from service.contract.value import sha256_hex
from tests.faults.namespace import Namespace
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.fault_proxy import FaultProxy
from tests.fixtures.fleet import SLOW, Fleet, NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.s3 import S3Server
from tests.fixtures.storage import open_place
from tests.fixtures.undisturbed import undisturbed

pytestmark = pytest.mark.faults


def ends_well(fleet: Fleet, job: Job, *, storage: Storage | None = None) -> None:
    ended = fleet.wait(job, within_s=90)
    assert ended.status == Status.COMPLETED, ended.error
    request = job.request
    assert request is not None
    shards = all_shards(request.count, request.shard_size)
    stored = [
        sha256_hex((storage or fleet.storage).get(layout.shard_of(request.recipe, shard)))
        for shard in shards
    ]
    assert stored == undisturbed(request)
    runs = [e for e in fleet.events("shard_stored", job=job.id) if e["verdict"] in ("OK", "LAST")]
    assert eventually(lambda: fleet.parts.queue.length() == 0, within_s=30)
    assert sorted(run["shard"] for run in runs) == list(range(request.shards))


def skip_here(reason: str) -> None:
    """For a reason that holds on laptops and must not hold in CI."""
    assert not os.environ.get("CI"), reason
    pytest.skip(reason)


# -- Redis ---------------------------------------------------------------------------------------------------------


def test_a_frozen_redis_is_survived(fleet: Fleet) -> None:
    """SIGSTOP for ten seconds: a submit is refused within five, and the job goes on when it wakes."""
    job = fleet.submit(label=0, count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    process = fleet.redis_server.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        frozen = time.monotonic()
        answer = fleet.http.post("/v1/jobs", json={"decoder": "tiny", "label": 3, "count": 1})
        assert (answer.status_code, time.monotonic() - frozen < 6) == (503, True)
        time.sleep(max(0.0, frozen + 10 - time.monotonic()))
    finally:
        process.send_signal(signal.SIGCONT)
    assert fleet.wait(job, within_s=90).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_paused_writes_are_waited_for(fleet: Fleet) -> None:
    """CLIENT PAUSE WRITE for three seconds in the middle of a job."""
    job = fleet.submit(label=1, count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    fleet.redis.client_pause(3000, all=False)
    assert fleet.wait(job, within_s=90).status == Status.COMPLETED
    assert fleet.digests(job) == undisturbed(job.request)


def test_connections_that_are_reset_are_opened_again(idle_fleet: Fleet) -> None:
    """Every connection of the worker to Redis is reset five times, on a slow line: the job completes."""
    idle_fleet.kill("worker")
    with FaultProxy(idle_fleet.redis_server.port) as proxy:
        proxy.delay_s = 0.005
        url = f"redis://127.0.0.1:{proxy.port}/0"
        worker = idle_fleet.start_hurt("worker", redis_url=url)
        job = idle_fleet.submit(label=2, count=16_000, **SLOW)
        for stored in (1, 3, 5, 7, 9):
            idle_fleet.run_into_the_middle(job, stored=stored)
            proxy.reset()
        assert idle_fleet.wait(job, within_s=90).status == Status.COMPLETED
        assert idle_fleet.digests(job) == undisturbed(job.request)
        idle_fleet.kill("worker")
        assert not worker.is_alive


def test_a_cut_cable_wedges_no_worker(idle_fleet: Fleet) -> None:
    """Packets vanish for half a minute and no end is told: once they come through again, so do shards."""
    reason = Namespace.why_not()
    if reason:
        skip_here(reason)
    idle_fleet.kill("worker")
    with Namespace() as cable:
        idle_fleet.redis.config_set("protected-mode", "no")
        idle_fleet.redis.config_set("bind", f"127.0.0.1 {cable.here}")
        prefix = (str(shutil.which("ip")), "netns", "exec", cable.name)
        url = f"redis://{cable.here}:{idle_fleet.redis_server.port}/0"
        worker = idle_fleet.start_hurt("worker", prefix=prefix, redis_url=url)
        assert idle_fleet.wait(idle_fleet.submit(label=3)).status == Status.COMPLETED
        cable.cut()
        job = idle_fleet.submit(label=4)
        time.sleep(30)
        assert not idle_fleet.look(job).status.is_terminal
        cable.mend()
        mended = time.monotonic()
        assert idle_fleet.wait(job, within_s=60).status == Status.COMPLETED
        print(f"completed {time.monotonic() - mended:.1f} s after the cable was mended")
        assert worker.is_alive
        assert idle_fleet.digests(job) == undisturbed(job.request)
        idle_fleet.kill("worker")
        idle_fleet.redis.config_set("bind", "127.0.0.1")


# -- messages and sweeps -------------------------------------------------------------------------------------------


def test_messages_of_another_version_are_replaced(idle_fleet: Fleet) -> None:
    """A rolling upgrade left shards in a form that nobody reads: dropped, and sent again in today's."""
    idle_fleet.kill("worker")
    job = idle_fleet.submit(label=5)
    assert idle_fleet.redis.delete(BULK)
    for shard in range(3):
        idle_fleet.parts.queue._send("latentmill.shard", {"job": job.id, "part": shard}, queue=BULK)
        idle_fleet.parts.queue._send("latentmill.shard.v0", {"job": job.id}, queue=BULK)
    idle_fleet.start(worker=1)
    ends_well(idle_fleet, job)


def test_two_sweeps_and_one_that_dies_are_one_sweep(fleet: Fleet) -> None:
    """Nothing is sent twice by two, and nothing stays when one is killed."""
    fleet.start(sweep=2)
    job = fleet.submit(label=6, count=16_000, **SLOW)
    fleet.run_into_the_middle(job)
    fleet.living("sweep")[0].signal(signal.SIGKILL)
    ends_well(fleet, job)


# -- storage -------------------------------------------------------------------------------------------------------


@pytest.mark.s3
def test_s3_that_is_down_costs_no_job(
    new_fleet: NewFleet, moto_server: S3Server, tmp_path: Path
) -> None:
    """Connections are reset for ten seconds in the middle of a job: a submit is 503, no attempt is used up."""
    port = urlsplit(moto_server.endpoint_url).port
    assert port is not None
    with FaultProxy(port, http=True) as proxy:
        place = moto_server.new_bucket()
        place["s3_endpoint_url"] = f"http://127.0.0.1:{proxy.port}"
        storage = open_place(place)
        publish(storage, *tiny_decoder("large", shape=(28, 28, 1), latent_dim=16))
        fleet = new_fleet(**place)
        fleet.start(api=1, sweep=1, worker=1)
        job = fleet.submit(label=7, count=16_000, **SLOW)
        assert eventually(lambda: len(list(storage.list("shards/"))) >= 3, within_s=60)
        proxy.down = True
        down = time.monotonic()
        answer = fleet.http.post("/v1/jobs", json={"decoder": "large", "label": 3, "count": 1})
        assert answer.status_code == 503
        time.sleep(max(0.0, down + 10 - time.monotonic()))
        assert set(fleet.redis.hvals(f"lm:job:{job.id}:attempts")) <= {"0", "1"}
        proxy.down = False
        ends_well(fleet, job, storage=storage)
        fleet.kill("api", "sweep", "worker")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        skip_here(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_waited_for(new_fleet: NewFleet, tmp_path: Path) -> None:
    """No space left: the try is not counted, no draft stays, and with room again the job completes."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        place = {"storage_url": (disk / "objects").as_uri()}
        storage = open_place(place)
        publish(storage, *tiny_decoder())
        fleet = new_fleet(**place)
        fleet.start(api=1, sweep=1, worker=1)
        job = fleet.submit(label=8, count=4096)
        assert fleet.wait(job).status == Status.COMPLETED
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 120_000))
        job = fleet.submit(label=9, count=3000)
        assert eventually(lambda: bool(fleet.events("shard_failed", job=job.id)), within_s=30)
        assert all(
            "No space left" in event["reason"] for event in fleet.events("shard_failed", job=job.id)
        )
        assert set(fleet.redis.hvals(f"lm:job:{job.id}:attempts")) <= {"0", "1"}
        ballast.unlink()
        ends_well(fleet, job, storage=storage)
        assert list((disk / "objects" / ".latentmill" / "drafts").iterdir()) == []
        fleet.kill("api", "sweep", "worker")
