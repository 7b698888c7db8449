"""Retention: what prune takes away, what it leaves, and what happens when a job wants a shard at that moment."""

import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.adapters.storage import Storage, StoredObject, exists
from service.adapters.storage_folder import BOOKKEEPING
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.job import Job, Status
from service.contract.manifest import Manifest
from service.contract.repair import RepairStatus
from service.lifecycle.describe import read_request
from service.lifecycle.end import forget
from service.lifecycle.parts import Parts
from service.lifecycle.prune import Kind, Pruned, prune, time_of
from service.lifecycle.repair import read_repair, resend_repairs
from service.lifecycle.submit import ANONYMOUS, submit
from tests.fixtures.parts import LIMITS, ask, new_studio, now_is, run_all
from workers.daily_prune import prune_if_due
from workers.repair import repair_job
from workers.shard import Studio, run_shard

Submitted = Callable[..., Job]
MONTH = timedelta(days=30)


def manifest_of(parts: Parts, job: Job) -> Manifest:
    return Manifest.model_validate_json(parts.storage.get(layout.job_manifest(job.id)))


def shards(parts: Parts, job: Job) -> list[str]:
    assert job.request is not None
    return [
        found.key for found in parts.storage.list(layout.recipe_prefix(job.request.recipe.digest))
    ]


def digests(parts: Parts, job: Job) -> list[str]:
    return [shard.sha256 for shard in manifest_of(parts, job).shards]


@pytest.fixture
def age(tmp_path: Path) -> Callable[..., None]:
    """Make every object whose key starts like this so many days old."""

    def make_older(prefix: str, *, days: float) -> None:
        then = datetime.now(UTC).timestamp() - days * 86_400
        for path in (tmp_path / "objects").rglob("*"):
            if path.relative_to(tmp_path / "objects").as_posix().startswith(prefix):
                os.utime(path, (then, then))

    return make_older


def pruned(parts: Parts, older_than: timedelta | None = MONTH, **how: Any) -> Pruned:
    return prune(parts.storage, now=datetime.now(UTC), older_than=older_than, **how)


def done(studio: Studio, submitted: Submitted, **fields: object) -> Job:
    job = submitted(**fields)
    run_all(studio, job)
    ended = now_is(studio.parts, job)
    assert ended.status == Status.COMPLETED
    return ended


class TestExpired:
    def test_what_nobody_used_goes_and_comes_back_the_same(
        self, studio: Studio, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """Old shards go, young ones and every record stay; asking again and repairing both give equal sha256s."""
        old, young = done(studio, submitted), done(studio, submitted, seed=7)
        before = digests(studio.parts, old)
        records = [found.key for found in studio.parts.storage.list(layout.JOBS)]
        keys = shards(studio.parts, old)
        age(layout.recipe_prefix(str(manifest_of(studio.parts, old).recipe_digest)), days=31)
        size = sum(studio.parts.storage.head(key).size_bytes for key in keys)

        rehearsed = pruned(studio.parts, dry_run=True)
        assert shards(studio.parts, old) == keys
        found = pruned(studio.parts)
        assert found == rehearsed
        assert (found.objects[Kind.SHARD], found.size_bytes[Kind.SHARD]) == (3, size)
        assert (shards(studio.parts, old), len(shards(studio.parts, young))) == ([], 3)
        assert [found.key for found in studio.parts.storage.list(layout.JOBS)] == records

        again = done(studio, submitted)
        assert again.progress.shards_reused == 0
        assert digests(studio.parts, again) == before

    def test_a_shard_lives_on_from_its_newest_outcome(
        self, studio: Studio, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """A job that used old shards leaves a mark before its outcome; only when that is old too do they go."""
        job = done(studio, submitted)
        age("shards/", days=31)
        done(studio, submitted)
        assert pruned(studio.parts).objects[Kind.SHARD] == 0
        # A shorter job's mark says nothing of shards that it did not reach.
        age("uses/", days=31)
        short = done(studio, submitted, count=1024)
        assert short.progress.shards_reused == 1
        found = pruned(studio.parts)
        assert (found.objects[Kind.SHARD], found.objects[Kind.MARKER]) == (2, 1)
        assert len(shards(studio.parts, job)) == 1

    def test_reuse_past_half_the_retention_refreshes(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """So that a lifecycle rule of the bucket, which knows only ages of objects, leaves them."""
        studio = new_studio(replace(parts, retention=MONTH))
        job = done(studio, submitted)
        for days, refreshed in ((14, False), (16, True)):
            age("shards/", days=days)
            assert done(studio, submitted).progress.shards_reused == 3
            ages = [
                datetime.now(UTC) - parts.storage.head(key).modified_at
                for key in shards(parts, job)
            ]
            assert [age < timedelta(days=1) for age in ages] == [refreshed] * 3
        assert done(studio, submitted).status == Status.COMPLETED

    def test_a_job_that_took_long_refreshes_its_own(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """Its first shards are past half the retention when it ends; one that is gone by then is made again."""
        studio = new_studio(replace(parts, retention=MONTH))
        job = submitted()
        for index in (0, 1):
            run_shard(studio, job.id, index)
        age("shards/", days=16)
        first = shards(parts, job)[0]
        meddled: Any = Meddled(parts.storage, "refresh", first, lambda: parts.storage.delete(first))
        hurt = replace(studio, parts=replace(studio.parts, storage=meddled))
        run_shard(hurt, job.id, 2)
        assert now_is(parts, job).status == Status.RUNNING
        run_shard(studio, job.id, 0)
        assert now_is(parts, job).status == Status.COMPLETED
        ages = [
            datetime.now(UTC) - parts.storage.head(key).modified_at for key in shards(parts, job)
        ]
        assert [age < timedelta(days=1) for age in ages] == [True] * 3

    def test_shards_of_unfinished_jobs_stay(
        self, studio: Studio, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """However old they are: the job may take longer than the retention."""
        job = submitted()
        run_shard(studio, job.id, 0)
        age("shards/", days=400)
        assert pruned(studio.parts).objects[Kind.SHARD] == 0
        run_all(studio, job)
        assert now_is(studio.parts, job).progress.shards_reused == 0

    def test_without_a_retention_shards_stay(
        self, studio: Studio, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """For ever."""
        done(studio, submitted)
        age("shards/", days=4000)
        assert pruned(studio.parts, older_than=None).objects[Kind.SHARD] == 0

    def test_any_store(self, storage: Storage) -> None:
        """The same on S3: what is old goes, what somebody marked or nobody of ours wrote stays."""
        keys = [
            layout.recipe_prefix(letter * 64) + "000000000000-000000001024.zip" for letter in "ab"
        ]
        stray = layout.recipe_prefix("a" * 64) + "notes.txt"
        for key in (*keys, stray, layout.quarantined(keys[0], "c" * 64)):
            storage.put(key, b"bytes")
        now = time_of(storage)
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
        found = prune(storage, now=now + MONTH / 2, older_than=MONTH)
        assert found.objects.total() - found.objects[Kind.LEFTOVER] == 0
        found = prune(storage, now=now + 2 * MONTH, older_than=MONTH)
        assert (found.objects[Kind.SHARD], found.objects[Kind.QUARANTINED]) == (2, 1)
        assert [left.key for left in storage.list("")] == [stray]

    def test_memory_does_not_grow_with_the_store(self) -> None:
        """Twenty thousand objects are looked through in less than two megabytes; kept, they would take twenty."""
        tracemalloc.start()
        found = prune(_Endless(20_000), now=datetime.now(UTC), older_than=MONTH)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found.objects.total(), peak < 2 * 2**20) == (0, True), peak


class _Endless:
    """A store of so many young shards, listed as they are asked for."""

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        young = datetime.now(UTC)
        for number in range(self._shards if prefix == layout.SHARDS else 0):
            key = layout.recipe_prefix(f"{number:064x}") + "000000000000-000000001024.zip"
            yield StoredObject(key=key, size_bytes=1, modified_at=young)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: iter(())


class Meddled:
    """A storage in which something happens once, just before a call of that name for such a key."""

    def __init__(
        self, storage: Storage, call: str, prefix: str, happen: Callable[[], object]
    ) -> None:
        self._storage, self._call, self._prefix, self._happen = storage, call, prefix, happen
        self._happened = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._storage, name)
        return (
            real
            if name != self._call
            else lambda key, *rest, **more: self._met(real, key, *rest, **more)
        )

    def _met(self, real: Callable[..., Any], key: str, *rest: Any, **more: Any) -> Any:
        if key.startswith(self._prefix) and not self._happened:
            self._happened = True
            self._happen()
        return real(key, *rest, **more)


class TestRaced:
    """A job comes to want a shard while prune takes it away. Whatever falls between, its bytes end up there."""

    @pytest.mark.parametrize("retention", [None, MONTH])
    @pytest.mark.parametrize(
        ("call", "prefix"), [("list", "uses/"), ("head", "shards/"), ("delete", "shards/")]
    )
    def test_a_whole_job_falls_between(
        self,
        *,
        parts: Parts,
        submitted: Submitted,
        age: Callable[..., None],
        call: str,
        prefix: str,
        retention: timedelta | None,
    ) -> None:
        """It comes after prune saw that nobody wanted the shard and completes on it before the deletion: the shard
        stays, or its repair is owed and brings the same bytes back."""
        studio = new_studio(replace(parts, retention=retention))
        before = done(studio, submitted, count=1000)
        age("shards/", days=31)
        late: list[Job] = []
        meddled: Any = Meddled(
            parts.storage, call, prefix, lambda: late.append(done(studio, submitted, count=1000))
        )
        prune(meddled, now=datetime.now(UTC), older_than=MONTH)

        (job,) = late
        assert job.progress.shards_reused == 1
        is_gone = shards(parts, job) == []
        assert is_gone == (call == "delete" or (call == "head" and retention is None))
        assert resend_repairs(parts) == is_gone
        repair_job(studio, job.id)
        assert shards(parts, job) == [shard.key for shard in manifest_of(parts, before).shards]
        assert digests(parts, job) == digests(parts, before)
        assert list(parts.storage.list(layout.REPAIRS)) == []

    def test_a_shard_vanishes_between_its_reuse_and_the_end(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """The finisher marks the use, looks again, finds the hole and reopens it: the job completes on what is."""
        before = done(new_studio(parts), submitted)
        age("shards/", days=31)
        victim = shards(parts, before)[1]
        meddled: Any = Meddled(parts.storage, "put", "uses/", lambda: parts.storage.delete(victim))
        studio = new_studio(replace(parts, storage=meddled))
        job = submitted()
        run_all(studio, job)
        assert now_is(parts, job).status == Status.RUNNING
        assert run_shard(studio, job.id, 1).name == "LAST"
        ended = now_is(parts, job)
        assert (ended.status, ended.progress.shards_reused) == (Status.COMPLETED, 3)
        assert digests(parts, job) == digests(parts, before)
        assert exists(parts.storage, victim)


class TestAbandoned:
    def test_a_job_half_forgotten_is_forgotten_wholly(
        self, studio: Studio, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """A process that died while forgetting left records without an outcome: a day later they go."""
        job, kept = done(studio, submitted), done(studio, submitted, seed=7)
        storage = studio.parts.storage
        died: Any = Meddled(storage, "delete", layout.job_manifest(job.id), _die)
        with pytest.raises(ZeroDivisionError):
            forget(replace(studio.parts, storage=died), job.id, owner=ANONYMOUS)
        assert pruned(studio.parts).objects[Kind.RECORD] == 0
        age("jobs/", days=2)
        assert pruned(studio.parts, older_than=None).objects[Kind.RECORD] == 2
        assert {found.key.split("/")[1] for found in storage.list(layout.JOBS)} == {kept.id}

    def test_a_submit_that_was_cut_off_goes_and_an_accepted_job_never_does(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """Nobody was told the id of a request that is in no list; a job that waits is in its owner's."""
        waits = submitted()
        died: Any = Meddled(parts.storage, "put", "log/", _die)
        with pytest.raises(ZeroDivisionError):
            submit(replace(parts, storage=died), ask(seed=9), owner=ANONYMOUS, limits=LIMITS)
        age("jobs/", days=2)
        age("active/", days=2)
        assert pruned(parts, dry_run=True).objects[Kind.RECORD] == 1
        assert pruned(parts).objects[Kind.RECORD] == 1
        assert [found.key for found in parts.storage.list(layout.JOBS)] == [
            layout.job_request(waits.id)
        ]
        # A marker that was lost does not make an accepted job nobody's.
        parts.storage.delete(layout.active(waits.id))
        assert pruned(parts).objects[Kind.RECORD] == 0

    def test_a_replay_at_that_moment_keeps_its_request(
        self, parts: Parts, age: Callable[..., None]
    ) -> None:
        """The cut-off submit comes again while its record is deleted: what was accepted has its request."""
        died: Any = Meddled(parts.storage, "put", "log/", _die)

        def again(storage: Any) -> Job:
            parted = replace(parts, storage=storage)
            return submit(parted, ask(), owner=ANONYMOUS, limits=LIMITS, job_id="replayed").job

        with pytest.raises(ZeroDivisionError):
            again(died)
        age("jobs/", days=2)
        meddled: Any = Meddled(parts.storage, "delete", "jobs/", lambda: again(parts.storage))
        prune(meddled, now=datetime.now(UTC), older_than=None)
        assert read_request(parts.storage, "replayed").resolved is not None

    def test_markers_and_drafts_of_the_dead_go(
        self, parts: Parts, tmp_path: Path, age: Callable[..., None]
    ) -> None:
        """A marker whose request is gone, and what killed writers were writing; the living's are left."""
        parts.storage.put(layout.active("no-such-job"), b"")
        (tmp_path / "objects" / BOOKKEEPING / "drafts" / "1-dead").write_bytes(b"half")
        assert pruned(parts).objects.total() == 0
        age("active/", days=1)
        age(f"{BOOKKEEPING}/drafts", days=1)
        found = pruned(parts, older_than=None)
        assert found.objects == {Kind.MARKER: 1, Kind.LEFTOVER: 1}
        assert found.size_bytes[Kind.LEFTOVER] == 4
        assert list(parts.storage.list("active/")) == []


def _die() -> None:
    raise ZeroDivisionError


class TestDaily:
    def test_one_sweep_prunes_once_a_day(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """Of all sweeps, however often they look; without a Redis that remembers, once more does no harm."""
        kept = replace(parts, retention=MONTH)
        job = done(new_studio(kept), submitted)
        age("shards/", days=31)
        prune_if_due(kept, threading.Event())
        assert shards(parts, job) == []
        parts.storage.put(layout.quarantined("shards/x", "c" * 64), b"")
        age("quarantine/", days=31)
        prune_if_due(kept, threading.Event())
        assert len(list(parts.storage.list("quarantine/"))) == 1
        parts.ledger.turns.end("prune")
        prune_if_due(kept, threading.Event())
        assert list(parts.storage.list("quarantine/")) == []

    def test_a_repair_rebuilds_what_expired(
        self, parts: Parts, submitted: Submitted, age: Callable[..., None]
    ) -> None:
        """The recipe stays: the same bytes come back, and the shard is young."""
        studio = new_studio(parts)
        job = done(studio, submitted)
        age("shards/", days=31)
        pruned(parts)
        for shard in manifest_of(parts, job).shards:
            with pytest.raises(ObjectMissing):
                parts.storage.head(shard.key)
        from service.lifecycle.repair import ask_for_repair

        ask_for_repair(parts, job.id, owner=ANONYMOUS)
        repair_job(studio, job.id)
        report = read_repair(parts, job.id, owner=ANONYMOUS)
        assert report is not None
        assert (report.status, report.repaired) == (RepairStatus.COMPLETED, (0, 1, 2))
        assert pruned(parts).objects[Kind.SHARD] == 0
