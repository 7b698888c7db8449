"""Repair: only what is broken is made again, with the manifest's bytes or not at all; and it ends, whatever dies."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from service.adapters.queue import BULK, REPAIR_JOB
from service.contract import layout
from service.contract.errors import StorageUnavailable
from service.contract.job import Job
from service.contract.manifest import Manifest
from service.contract.repair import RepairReport, RepairStatus
from service.lifecycle.end import cancel, forget
from service.lifecycle.parts import Parts
from service.lifecycle.repair import (
    ask_for_repair,
    errand_of,
    owe_repair,
    read_repair,
    resend_repairs,
    sent,
)
from service.lifecycle.submit import ANONYMOUS
from tests.fixtures.parts import run_all
from workers.errand import Errand
from workers.repair import repair_job
from workers.shard import Studio


@pytest.fixture
def job(studio: Studio, submitted: Callable[..., Job]) -> Job:
    """A completed one of three shards."""
    asked = submitted()
    run_all(studio, asked)
    return asked


@pytest.fixture
def keys(parts: Parts, job: Job) -> list[str]:
    stored = parts.storage.get(layout.job_manifest(job.id))
    return [shard.key for shard in Manifest.model_validate_json(stored).shards]


@pytest.fixture
def client(redis_url: str) -> "redis.Redis":
    return redis.Redis.from_url(redis_url, decode_responses=True)


def ask(parts: Parts, job: Job) -> None:
    ask_for_repair(parts, job.id, owner=ANONYMOUS)


def report_of(parts: Parts, job: Job) -> RepairReport:
    report = read_repair(parts, job.id, owner=ANONYMOUS)
    assert report is not None
    return report


def everything(parts: Parts) -> dict[str, Any]:
    """Every object with what would change if it were written again; reports and markers left out."""
    listed = [parts.storage.head(found.key) for found in parts.storage.list("")]
    told = ("repair.json", "repairs/")
    return {
        found.key: (found.modified_at, parts.storage.get(found.key), found.metadata)
        for found in listed
        if not any(word in found.key for word in told)
    }


def owed(parts: Parts) -> list[str]:
    return [marker.key for marker in parts.storage.list(layout.REPAIRS)]


def messages(client: "redis.Redis") -> int:
    return sum(REPAIR_JOB in message for message in client.lrange(BULK, 0, -1))  # type: ignore[union-attr]


def flip(parts: Parts, key: str) -> bytes:
    data = bytearray(parts.storage.get(key))
    data[len(data) // 2] ^= 1
    parts.storage.put(key, bytes(data), metadata=parts.storage.head(key).metadata)
    return bytes(data)


def test_one_flipped_byte_is_mended_and_nothing_else_touched(
    studio: Studio, job: Job, keys: list[str]
) -> None:
    """The shard has its bytes and metadata again, the broken bytes are kept aside, no other object is written."""
    parts = studio.parts
    before = everything(parts)
    broken = flip(parts, keys[1])
    ask(parts, job)
    repair_job(studio, job.id)
    report = report_of(parts, job)
    assert (report.status, report.shards_checked, report.repaired) == ("completed", 3, (1,))
    after = everything(parts)
    mended, aside = after.pop(keys[1]), [key for key in after if key.startswith("quarantine/")]
    assert mended[1:] == before.pop(keys[1])[1:]
    assert [after.pop(key)[1] for key in aside] == [broken]
    assert after == before


def test_another_profile_changes_nothing_and_says_so(
    studio: Studio, job: Job, keys: list[str]
) -> None:
    """Whatever differs is named; the broken shard stays as it was, and so does the hole of a missing one."""
    parts, foreign = studio.parts, "onnxruntime 0.0.1"
    path = layout.job_manifest(job.id)
    manifest = json.loads(parts.storage.get(path))
    for profile in manifest["profiles"].values():
        profile["onnxruntime"] = "0.0.1"
    # Other bytes come with another profile, or nobody would mind.
    for shard in manifest["shards"]:
        shard["sha256"] = "0" * 64
    parts.storage.put(path, json.dumps(manifest).encode())
    flip(parts, keys[1])
    parts.storage.delete(keys[2])
    before = everything(parts)
    ask(parts, job)
    repair_job(studio, job.id)
    report = report_of(parts, job)
    assert (report.status, report.repaired) == (RepairStatus.FAILED, ())
    assert all(f"another profile: {foreign}" in why for why in report.unrepairable.values())
    assert set(report.unrepairable) == {"0", "1", "2"}
    assert everything(parts) == before


def test_a_repair_is_owed_until_it_has_ended(
    studio: Studio, job: Job, keys: list[str], client: "redis.Redis"
) -> None:
    """A worker that died in it lets go by the clock; then, and not before, the sweep sends it again."""
    parts = studio.parts
    parts.storage.delete(keys[0])
    ask(parts, job)
    assert (messages(client), resend_repairs(parts)) == (1, 0)
    dead = Errand(parts.ledger, errand_of(job.id), heartbeat_s=1)
    assert dead.begin()
    repair_job(
        studio, job.id
    )  # The message comes a second time, while the worker is believed alive.
    assert (report_of(parts, job).status, resend_repairs(parts)) == ("queued", 0)
    # Its turns last so long, and no longer.
    for name in (errand_of(job.id), sent(errand_of(job.id))):
        assert 0 < client.pttl(f"lm:turn:{name}") <= 1500 * parts.ledger.lease_s  # type: ignore[operator]
        client.delete(f"lm:turn:{name}")
    assert (resend_repairs(parts), messages(client)) == (1, 2)
    repair_job(studio, job.id)
    assert (report_of(parts, job).status, owed(parts)) == ("completed", [])
    assert parts.storage.head(keys[0]).size_bytes > 0
    repair_job(studio, job.id)  # A late message finds nothing to do.
    assert resend_repairs(parts) == 0


def test_a_repair_survives_the_loss_of_redis(
    studio: Studio, job: Job, keys: list[str], client: "redis.Redis"
) -> None:
    """Its marker is in storage: the message that was lost is sent again."""
    studio.parts.storage.delete(keys[2])
    ask(studio.parts, job)
    client.flushall()
    assert resend_repairs(studio.parts) == 1
    repair_job(studio, job.id)
    assert report_of(studio.parts, job).repaired == (2,)


def test_a_repair_that_kills_its_workers_ends(studio: Studio, job: Job) -> None:
    """After as many tries as a shard has, with a reason; and asking again begins anew."""
    parts = studio.parts
    ask(parts, job)
    for _ in range(parts.ledger.max_attempts):
        assert Errand(parts.ledger, errand_of(job.id), heartbeat_s=1).begin()
        parts.ledger.turns.end(errand_of(job.id))
    repair_job(studio, job.id)
    report = report_of(parts, job)
    assert (report.status, owed(parts)) == (RepairStatus.FAILED, [])
    assert "3 workers died" in report.unrepairable[""]
    ask(parts, job)
    repair_job(studio, job.id)
    assert report_of(parts, job).status == RepairStatus.COMPLETED


def test_an_outage_costs_no_try(studio: Studio, job: Job) -> None:
    """A store that is away leaves the repair owed, and counts against nobody."""
    away: Any = _Away(studio.parts.storage)
    for _ in range(5):
        ask(studio.parts, job)
        repair_job(replace(studio, parts=replace(studio.parts, storage=away)), job.id)
        assert len(owed(studio.parts)) == 1
    repair_job(studio, job.id)
    assert report_of(studio.parts, job).status == RepairStatus.COMPLETED


class _Away:
    """A store whose shards do not answer."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def get(self, key: str) -> bytes:
        if key.startswith(layout.SHARDS):
            raise StorageUnavailable
        return bytes(self._storage.get(key))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


def test_a_repair_that_is_owed_to_a_job_waits_for_its_end(
    studio: Studio, submitted: Callable[..., Job]
) -> None:
    """As expiry does when it took a shard from a job that was just ending; a job that ends otherwise has none."""
    parts, asked = studio.parts, submitted()
    owe_repair(parts.storage, asked.id, asked_at=parts.clock())
    for _ in range(9):
        repair_job(studio, asked.id)
    assert len(owed(parts)) == 1
    run_all(studio, asked)
    repair_job(studio, asked.id)
    assert (report_of(parts, asked).status, owed(parts)) == (RepairStatus.COMPLETED, [])
    cancelled = submitted(seed=7)
    cancel(parts, cancelled.id, owner=ANONYMOUS)
    owe_repair(parts.storage, cancelled.id, asked_at=parts.clock())
    repair_job(studio, cancelled.id)
    assert (report_of(parts, cancelled).status, owed(parts)) == (RepairStatus.FAILED, [])


@pytest.mark.parametrize("job_id", ["nobody-knows-me", "../../etc/passwd", "", "x" * 5000, "a\0b"])
def test_a_message_about_no_job_is_dropped(studio: Studio, job_id: str) -> None:
    """What no repair is owed for is not worked on, whatever is written in its place."""
    repair_job(studio, job_id)
    assert list(studio.parts.storage.list("jobs/")) == []


def test_a_forgotten_job_is_not_repaired(studio: Studio, job: Job) -> None:
    """It owes nothing any more."""
    ask(studio.parts, job)
    forget(studio.parts, job.id, owner=ANONYMOUS)
    assert resend_repairs(studio.parts) == 0
    repair_job(studio, job.id)
    assert list(studio.parts.storage.list("jobs/")) == []
