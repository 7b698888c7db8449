"""What mends storage while processes die, compute wrongly or prune beside each other; the fleet is real processes."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from service.contract.audit import AuditRecord
from service.contract.job import Job, Status
from service.contract.settings import child_environment
from service.contract.value import sha256_hex
from tests.fixtures.commands import COMMAND
from tests.fixtures.fleet import SLOW, Fleet, NewFleet
from tests.fixtures.processes import eventually
from tests.fixtures.undisturbed import undisturbed
from workers.audit import SEEN_S
from workers.heart import QUARANTINED

pytestmark = pytest.mark.faults


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def repaired(fleet: Fleet, job: Job, *, within_s: float) -> dict[str, object]:
    def report() -> dict[str, object]:
        told: dict[str, object] = fleet.http.get(f"/v1/jobs/{job.id}/repair").json()
        return told

    assert eventually(lambda: report()["finished_at"] is not None, within_s=within_s), report()
    return report()


def test_a_repair_outlives_its_worker(new_fleet: NewFleet) -> None:
    """kill -9 in the middle of it: with the settings of a deployment it is sent again within a minute, and ends."""
    fleet = new_fleet(lease_s=20, rebuild_interval_s=30)
    fleet.start(api=1, sweep=1, worker=1)
    job = fleet.wait(fleet.submit())
    flip(fleet.shard_files(job)[0])
    fleet.shard_files(job)[1].unlink()
    fleet.kill("worker")
    doomed = fleet.start_hurt("worker", rig="dies in repair")
    assert fleet.http.post(f"/v1/jobs/{job.id}/repair").status_code == 202
    assert doomed.ended(within_s=30) == -signal.SIGKILL
    died_at = time.monotonic()
    fleet.start(worker=1)
    report = repaired(fleet, job, within_s=80)
    assert (report["status"], report["repaired"]) == ("completed", [0, 1])
    assert time.monotonic() - died_at < 65
    assert fleet.digests(job) == undisturbed(job.request)
    assert list(fleet.storage.list("repairs/")) == []
    fleet.stop()


def test_a_worker_that_computes_wrongly_is_found_and_stops(new_fleet: NewFleet) -> None:
    """One of three: its shards are audited by the others, it ends with its own exit code, its bytes are put aside and
    listed; what is asked for then has the right bytes."""
    fleet = new_fleet(audit_share=1)
    fleet.start(api=1, sweep=1)
    wrong = fleet.start_hurt("worker", rig="wrong")
    name = wrong.events("worker_ready")[0]["worker"]
    job = fleet.submit()
    assert fleet.wait(job).status == Status.COMPLETED
    spoiled = fleet.digests(job)
    assert not set(spoiled) & set(undisturbed(job.request))
    fleet.start(worker=3)  # Two honest ones beside it; what it stored alone nobody could check.
    other = fleet.wait(fleet.submit(label=7, count=20 * 1024), within_s=60)
    assert wrong.ended(within_s=60) == QUARANTINED
    assert wrong.events("worker_quarantined")

    records = fleet.objects / "audits"
    assert eventually(lambda: _lists_later(records, name), within_s=30)
    assert eventually(lambda: fleet.parts.queue.length() == 0, within_s=30)
    time.sleep(2 * SEEN_S)  # The last record is complete so long after it was written.
    told = [AuditRecord.model_validate_json(path.read_bytes()) for path in records.rglob("*.json")]
    assert {record.wrong for record in told} == {name}
    aside = [path for path in (fleet.objects / "quarantine").rglob("*") if path.is_file()]
    right = undisturbed(other.request)
    assert aside
    assert all(sha256_hex(path.read_bytes()) not in right for path in aside)

    # As an operator is told to: delete what the records list, ask again.
    for record in told:
        for key in record.later_shards:
            fleet.storage.delete(key)
    again = fleet.wait(fleet.submit(label=7, count=20 * 1024), within_s=60)
    assert again.status == Status.COMPLETED
    assert fleet.digests(again) == right
    assert len(fleet.living("worker")) == 2
    fleet.stop()


def _lists_later(records: Path, name: str) -> bool:
    found = [json.loads(path.read_bytes()) for path in records.rglob("*.json")]
    return any(record["wrong"] == name and record["later_shards"] for record in found)


def test_jobs_complete_beside_prunes_of_everything(new_fleet: NewFleet) -> None:
    """`prune --older-than 0` again and again while jobs of one recipe come and go: each completes, and whatever it
    was completed on is there, expired or owed to it; repaired, all have the same bytes."""
    fleet = new_fleet(rebuild_interval_s=1)
    fleet.start(api=1, sweep=1, worker=1)
    environment = child_environment(storage_url=fleet.objects.as_uri())
    command = [*COMMAND, "prune", "--older-than", "0"]
    jobs: list[Job] = []
    for _ in range(6):
        prunes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        while any(process.poll() is None for process in prunes):
            jobs.append(fleet.wait(fleet.submit(count=4096, **SLOW)))
        assert [process.returncode for process in prunes] == [0, 0]
    assert {job.status for job in jobs} == {Status.COMPLETED}
    last = jobs[-1]
    fleet.http.post(f"/v1/jobs/{last.id}/repair").raise_for_status()
    repaired(fleet, last, within_s=60)
    assert fleet.digests(last) == undisturbed(last.request)
    sums = {tuple(shard.sha256 for shard in fleet.manifest(job).shards) for job in jobs}
    assert sums == {tuple(undisturbed(last.request))}
    fleet.stop()
