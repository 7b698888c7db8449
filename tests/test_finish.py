"""The way out of a job: manifest, outcome, cancel, rebuild, repair."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis

from service.contract import layout
from service.contract.errors import (
    JobNotCancellable,
    JobUnfinished,
    NothingToRepair,
    UnknownJob,
)
from service.contract.job import Job, Outcome, Progress, Status
from service.contract.manifest import Manifest
from service.contract.repair import RepairStatus
from service.contract.shard import all_shards
from service.lifecycle.describe import describe, list_jobs, read_manifest
from service.lifecycle.end import cancel, forget
from service.lifecycle.finish import finish, stored_shards
from service.lifecycle.parts import Parts
from service.lifecycle.rebuild import rebuild
from service.lifecycle.repair import ask_for_repair, read_repair
from service.lifecycle.submit import ANONYMOUS
from tests.fixtures.ledger import resolved
from tests.fixtures.parts import now_is, run_all
from workers.repair import repair_job
from workers.shard import Studio, run_shard

Submitted = Callable[..., Job]


def manifest_of(parts: Parts, job: Job) -> Manifest:
    return read_manifest(parts, job.id, owner=ANONYMOUS)


def lose_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


class TestCompleted:
    def test_the_manifest_lists_every_shard(self, studio: Studio, submitted: Submitted) -> None:
        """Whole range, no gap, sizes and checksums of what storage holds."""
        job = submitted()
        run_all(studio, job)
        manifest = manifest_of(studio.parts, job)
        assert [(s.start, s.stop) for s in manifest.shards] == [
            (0, 1024),
            (1024, 2048),
            (2048, 2500),
        ]
        sizes = [studio.parts.storage.head(s.key).size_bytes for s in manifest.shards]
        assert [s.size_bytes for s in manifest.shards] == sizes
        assert {s.profile for s in manifest.shards} == set(manifest.profiles)

    def test_a_finished_job_leaves_no_marker(self, studio: Studio, submitted: Submitted) -> None:
        """The rebuild looks at what is active only."""
        run_all(studio, submitted())
        assert list(studio.parts.storage.list(layout.ACTIVE)) == []

    def test_storage_answers_when_redis_has_forgotten(
        self, studio: Studio, submitted: Submitted, redis_url: str
    ) -> None:
        """The same answer, field by field, from the ledger and from storage."""
        job = submitted()
        run_all(studio, job)
        from_ledger = now_is(studio.parts, job)
        lose_redis(redis_url)
        assert now_is(studio.parts, job) == from_ledger

    def test_a_shard_that_vanished_is_made_again(
        self, studio: Studio, submitted: Submitted
    ) -> None:
        """The finisher believes storage, not the bitmap."""
        job = submitted()
        run_shard(studio, job.id, 0)
        run_shard(studio, job.id, 1)
        (first, *_) = studio.parts.storage.list("shards/")
        studio.parts.storage.delete(first.key)
        run_shard(studio, job.id, 2)
        assert now_is(studio.parts, job).status == Status.RUNNING
        run_all(studio, job)
        assert now_is(studio.parts, job).status == Status.COMPLETED

    def test_finishing_twice_changes_nothing(self, studio: Studio, submitted: Submitted) -> None:
        """A second finisher adopts the outcome of the first."""
        job = submitted()
        run_all(studio, job)
        outcome = studio.parts.storage.get(layout.job_outcome(job.id))
        finish(studio.parts, job.id)
        assert studio.parts.storage.get(layout.job_outcome(job.id)) == outcome

    def test_the_outcome_that_storage_holds_is_adopted(
        self, studio: Studio, submitted: Submitted
    ) -> None:
        """Redis came back from before a cancel that a client was told of: cancelled it stays."""
        job = submitted(count=1024)
        told = Outcome(
            id=job.id,
            status=Status.CANCELLED,
            progress=Progress(),
            finished_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        studio.parts.storage.create(layout.job_outcome(job.id), told.to_json())
        run_all(studio, job)
        assert now_is(studio.parts, job).status == Status.CANCELLED


class TestCancelled:
    def test_a_cancel_is_an_outcome_at_once(self, parts: Parts, submitted: Submitted) -> None:
        """The answer to the cancel is the terminal state, and it outlives Redis."""
        job = submitted()
        assert cancel(parts, job.id, owner=ANONYMOUS).status == Status.CANCELLED
        assert list(parts.storage.list(layout.ACTIVE)) == []

    def test_an_ended_job_is_not_cancelled(self, studio: Studio, submitted: Submitted) -> None:
        """What a client was told never changes."""
        job = submitted()
        run_all(studio, job)
        with pytest.raises(JobNotCancellable, match="completed"):
            cancel(studio.parts, job.id, owner=ANONYMOUS)

    def test_a_job_that_redis_forgot_is_cancelled(
        self, parts: Parts, submitted: Submitted, redis_url: str
    ) -> None:
        """Storage knows it, so the cancel finds it."""
        job = submitted()
        lose_redis(redis_url)
        assert cancel(parts, job.id, owner=ANONYMOUS).status == Status.CANCELLED
        lose_redis(redis_url)
        assert now_is(parts, job).status == Status.CANCELLED

    def test_stored_shards_stay(self, studio: Studio, submitted: Submitted) -> None:
        """They belong to the recipe, and the next job reuses them."""
        job = submitted()
        run_shard(studio, job.id, 0)
        cancel(studio.parts, job.id, owner=ANONYMOUS)
        again = submitted()
        run_all(studio, again)
        assert now_is(studio.parts, again).progress.shards_reused == 1

    def test_a_cancelled_job_has_no_manifest(self, parts: Parts, submitted: Submitted) -> None:
        """Nothing claims to be complete."""
        job = submitted()
        cancel(parts, job.id, owner=ANONYMOUS)
        with pytest.raises(JobUnfinished, match="cancelled"):
            manifest_of(parts, job)


class TestForgotten:
    def test_a_forgotten_job_is_unknown_and_its_shards_stay(
        self, studio: Studio, submitted: Submitted
    ) -> None:
        """Records go, data stays."""
        job = submitted()
        run_all(studio, job)
        forget(studio.parts, job.id, owner=ANONYMOUS)
        with pytest.raises(UnknownJob):
            now_is(studio.parts, job)
        assert [e.key for e in studio.parts.storage.list("jobs/")] == []
        assert len(list(studio.parts.storage.list("shards/"))) == 3

    def test_a_running_job_is_not_forgotten(self, parts: Parts, submitted: Submitted) -> None:
        """Cancel comes first."""
        with pytest.raises(JobUnfinished):
            forget(parts, submitted().id, owner=ANONYMOUS)

    def test_another_owners_job_is_unknown(self, parts: Parts, submitted: Submitted) -> None:
        """Not forbidden, unknown: an id must not tell whether it exists."""
        with pytest.raises(UnknownJob):
            describe(parts, submitted().id, owner="mallory")


class TestRebuilt:
    def test_a_running_job_goes_on_after_redis_was_lost(
        self, studio: Studio, submitted: Submitted, redis_url: str
    ) -> None:
        """Stored shards count as done, and are not counted as another job's."""
        job = submitted()
        run_shard(studio, job.id, 1)
        lose_redis(redis_url)
        assert rebuild(studio.parts) == 1
        assert now_is(studio.parts, job).progress.shards_done == 1
        run_all(studio, job)
        ended = now_is(studio.parts, job)
        assert (ended.status, ended.progress.shards_reused) == (Status.COMPLETED, 0)

    def test_a_job_with_every_shard_is_finished_after_redis_was_lost(
        self, studio: Studio, submitted: Submitted, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Lost between the last commit and the outcome; the records are read back from the objects."""
        job = submitted()
        with monkeypatch.context() as dying:
            dying.setattr("workers.shard.finish", lambda *_: None)
            dying.setattr("workers.shard.dispatch", lambda *_, **__: None)
            run_all(studio, job)
        lose_redis(redis_url)
        rebuild(studio.parts)
        assert now_is(studio.parts, job).status == Status.COMPLETED
        assert len(manifest_of(studio.parts, job).shards) == 3

    def test_an_ended_jobs_left_marker_is_cleared(
        self, studio: Studio, submitted: Submitted, redis_url: str
    ) -> None:
        """A finisher died between the outcome and the marker."""
        job = submitted()
        run_all(studio, job)
        studio.parts.storage.put(layout.active(job.id), b"")
        lose_redis(redis_url)
        assert rebuild(studio.parts) == 0
        assert list(studio.parts.storage.list(layout.ACTIVE)) == []

    def test_one_broken_record_does_not_stop_the_others(
        self, parts: Parts, submitted: Submitted, redis_url: str
    ) -> None:
        """A request.json that somebody damaged is one job's misfortune."""
        broken, whole = sorted((submitted(), submitted(seed=1)), key=lambda job: job.id)
        parts.storage.put(layout.job_request(broken.id), b"{}")
        lose_redis(redis_url)
        assert rebuild(parts) == 1
        assert now_is(parts, whole).status == Status.QUEUED


class TestStored:
    def test_the_shards_of_a_large_job_are_listed(self, parts: Parts) -> None:
        """Its own and no others: not another job's last shard, not what lies beyond, not a stray file."""
        request = resolved(count=20 * 1024 + 100)
        mine = [layout.shard_of(request.recipe, shard) for shard in all_shards(request.count, 1024)]
        longer = resolved(count=30 * 1024)
        theirs = [layout.shard_of(longer.recipe, shard) for shard in all_shards(longer.count, 1024)]
        prefix = layout.recipe_prefix(request.recipe.digest)
        for key in (mine[0], mine[3], mine[20], theirs[20], theirs[25], f"{prefix}notes.txt"):
            parts.storage.put(key, b"x")
        assert list(stored_shards(parts.storage, request)) == [0, 3, 20]
        assert list(stored_shards(parts.storage, longer)) == [0, 3, 20, 25]


class TestListed:
    def test_newest_first_by_pages(self, parts: Parts, submitted: Submitted) -> None:
        """Cursors walk through all of them once."""
        made = [submitted(seed=n).id for n in range(5)]
        seen: list[str] = []
        after = ""
        while True:
            page = list_jobs(parts, owner=ANONYMOUS, status=None, limit=2, after=after)
            seen += [job.id for job in page.jobs]
            if page.next is None:
                break
            after = page.next
        assert sorted(seen) == sorted(made)
        assert seen[0] in made[-2:]

    def test_a_status_filters(self, parts: Parts, submitted: Submitted) -> None:
        """Only jobs that have it."""
        kept, other = submitted(), submitted(seed=1)
        cancel(parts, other.id, owner=ANONYMOUS)
        page = list_jobs(parts, owner=ANONYMOUS, status=Status.QUEUED, limit=9, after="")
        assert [job.id for job in page.jobs] == [kept.id]


class TestRepaired:
    def repair(self, studio: Studio, job: Job) -> RepairStatus:
        ask_for_repair(studio.parts, job.id, owner=ANONYMOUS)
        repair_job(studio, job.id)
        report = read_repair(studio.parts, job.id, owner=ANONYMOUS)
        assert report is not None
        self.report = report
        return report.status

    def test_broken_and_missing_shards_come_back(
        self, studio: Studio, submitted: Submitted
    ) -> None:
        """The very bytes of the manifest, and only those shards are touched."""
        job = submitted()
        run_all(studio, job)
        storage, shards = studio.parts.storage, manifest_of(studio.parts, job).shards
        before = {shard.key: storage.get(shard.key) for shard in shards}
        storage.delete(shards[0].key)
        storage.put(shards[2].key, b"damaged")
        assert self.repair(studio, job) == RepairStatus.COMPLETED
        assert self.report.repaired == (0, 2)
        assert {shard.key: storage.get(shard.key) for shard in shards} == before

    def test_what_cannot_come_back_is_told_and_left(
        self, studio: Studio, submitted: Submitted
    ) -> None:
        """A shard of another profile is not replaced by other bytes."""
        job = submitted()
        run_all(studio, job)
        manifest = manifest_of(studio.parts, job)
        shard = manifest.shards[1]
        foreign = manifest.profiles[shard.profile].model_copy(
            update={"device": "NVIDIA H200 sm_90"}
        )
        altered = shard.model_copy(update={"sha256": "0" * 64, "profile": foreign.id})
        studio.parts.storage.put(
            layout.job_manifest(job.id),
            manifest.model_copy(
                update={
                    "profiles": manifest.profiles | {foreign.id: foreign},
                    "shards": (manifest.shards[0], altered, manifest.shards[2]),
                }
            ).to_json(),
        )
        data = studio.parts.storage.get(shard.key)
        assert self.repair(studio, job) == RepairStatus.FAILED
        assert "NVIDIA H200" in self.report.unrepairable["1"]
        assert studio.parts.storage.get(shard.key) == data

    def test_only_a_completed_job_is_repaired(self, parts: Parts, submitted: Submitted) -> None:
        """There is no manifest to repair from."""
        with pytest.raises(NothingToRepair):
            ask_for_repair(parts, submitted().id, owner=ANONYMOUS)
