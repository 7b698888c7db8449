"""Submit: accepted for good or not at all, once per key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from service.adapters.ledger import Ledger
from service.adapters.redis_client import connect
from service.contract import layout
from service.contract.errors import (
    IdempotencyConflict,
    LedgerUnavailable,
    RequestInvalid,
    StorageUnavailable,
    TooManyJobs,
)
from service.contract.job import Status
from service.contract.limits import Limits
from service.contract.settings import Settings
from service.lifecycle.parts import Parts
from service.lifecycle.rebuild import rebuild
from service.lifecycle.submit import ANONYMOUS, job_id_for, submit
from tests.fixtures.parts import LIMITS, ask, now_is, run_all
from tests.fixtures.redis import free_port
from workers.shard import Studio


def keys(parts: Parts, prefix: str = "") -> list[str]:
    kept = ("decoders/",)
    return [e.key for e in parts.storage.list(prefix) if not e.key.startswith(kept)]


def test_an_accepted_job_is_in_storage(parts: Parts) -> None:
    """Request, marker and log entry are written before anybody is told the id."""
    job, replayed = submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS)
    assert not replayed
    assert [key.partition("/")[0] for key in keys(parts)] == ["active", "jobs", "log"]
    assert layout.job_request(job.id) in keys(parts)


def test_a_drawn_seed_is_told_and_kept(parts: Parts) -> None:
    """A request without a seed can be asked for again by the seed it was given."""
    body = ask()
    del body["seed"]
    first, _ = submit(parts, body, owner=ANONYMOUS, limits=LIMITS)
    second, _ = submit(parts, body, owner=ANONYMOUS, limits=LIMITS)
    assert first.request is not None
    assert second.request is not None
    assert first.request.seed != second.request.seed
    assert first.request.seed < 2**53


def test_a_number_and_its_string_are_one_recipe(parts: Parts) -> None:
    """`3` and `"3"` share their shards."""
    jobs = [
        submit(parts, ask(label=label), owner=ANONYMOUS, limits=LIMITS).job for label in (3, "3")
    ]
    assert len({job.request.recipe.digest for job in jobs if job.request}) == 1


def test_every_fault_is_told_at_once(parts: Parts) -> None:
    """Also those that only the decoder's card shows."""
    with pytest.raises(RequestInvalid) as told:
        submit(parts, ask(label=77, count=0, cuont=1), owner=ANONYMOUS, limits=LIMITS)
    assert {fault.pointer for fault in told.value.faults} == {"/label", "/count", "/cuont"}
    assert keys(parts) == []


def test_a_submit_over_the_limit_leaves_nothing(parts: Parts) -> None:
    """Neither in storage nor later in the ledger."""
    one = Limits(max_count=10_000, max_active_jobs=1)
    submit(parts, ask(), owner=ANONYMOUS, limits=one)
    before = keys(parts)
    with pytest.raises(TooManyJobs):
        submit(parts, ask(seed=1), owner=ANONYMOUS, limits=one)
    assert keys(parts) == before
    assert rebuild(parts) == 0


def test_a_submit_without_redis_leaves_nothing(parts: Parts) -> None:
    """Redis is asked before anything is written, so no job appears when it comes back."""
    nowhere = connect(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    dead = Parts(parts.storage, Ledger(nowhere), parts.queue)
    with pytest.raises(LedgerUnavailable):
        submit(dead, ask(), owner=ANONYMOUS, limits=LIMITS)
    assert keys(parts) == []
    assert rebuild(parts) == 0


class LosesRedisAfterAdmit(Ledger):
    """Redis goes away at the worst moment."""

    def create(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        raise LedgerUnavailable


def test_a_job_that_storage_has_is_accepted_without_redis(parts: Parts, redis_url: str) -> None:
    """Once written it is never refused: the rebuild brings it to the ledger."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    losing = Parts(parts.storage, LosesRedisAfterAdmit(client), parts.queue)
    job, _ = submit(losing, ask(), owner=ANONYMOUS, limits=LIMITS)
    assert job.status == Status.QUEUED
    assert parts.ledger.read(job.id) is None
    assert rebuild(parts) == 1
    assert parts.queue.length() == 3


def test_one_key_makes_one_job(parts: Parts) -> None:
    """Fifty submits at once with one Idempotency-Key: one request, one marker, fifty equal answers."""
    job_id = job_id_for(ANONYMOUS, "key")
    body = ask()
    del body["seed"]

    def once(_: int) -> tuple[str, int]:
        job, _ = submit(parts, body, owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
        assert job.request is not None
        return job.id, job.request.seed

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(once, range(50)))
    assert len(answers) == 1
    assert len(keys(parts, "active/")) == len(keys(parts, "log/")) == 1


def test_one_key_with_another_body_is_refused(parts: Parts) -> None:
    """The first job stands; order and spacing of the body do not make another one."""
    job_id = job_id_for(ANONYMOUS, "key")
    body = ask()
    submit(parts, body, owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    turned = dict(reversed(list(body.items())))
    assert submit(parts, turned, owner=ANONYMOUS, limits=LIMITS, job_id=job_id).replayed
    with pytest.raises(IdempotencyConflict):
        submit(parts, ask(seed=43), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)


def test_a_replay_of_an_ended_job_starts_nothing(parts: Parts, studio: Studio) -> None:
    """Also when Redis has forgotten it: no marker appears and nothing is due."""
    job_id = job_id_for(ANONYMOUS, "key")
    job, _ = submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    run_all(studio, job)
    parts.ledger.forget(job.id)
    again, replayed = submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    assert replayed
    assert again.status == Status.COMPLETED
    assert keys(parts, "active/") == []
    assert parts.ledger.due(9) == []


class FailsAt:
    """A storage that dies at the n-th write of one submit."""

    def __init__(self, storage: object, *, write: int) -> None:
        self._storage, self._left = storage, write

    def __getattr__(self, name: str) -> object:
        if name in ("put", "create"):
            self._left -= 1
            if self._left < 0:
                raise StorageUnavailable
        return getattr(self._storage, name)


@pytest.mark.parametrize("write", [0, 1, 2])
def test_a_replay_completes_a_submit_that_was_cut_off(parts: Parts, write: int) -> None:
    """Whatever step storage died at, the same key brings the job to its end, once."""
    job_id = job_id_for(ANONYMOUS, "key")
    failing = Parts(FailsAt(parts.storage, write=write), parts.ledger, parts.queue)  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        submit(failing, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    job, _ = submit(parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=job_id)
    assert now_is(parts, job).status == Status.QUEUED
    assert len(keys(parts, "active/")) == len(keys(parts, "log/")) == 1


def test_a_replay_is_neither_checked_nor_charged(parts: Parts) -> None:
    """The decoder may be gone and the owner at the limit: what was accepted is answered for."""
    job_id = job_id_for(ANONYMOUS, "key")
    one = Limits(max_count=10_000, max_active_jobs=1)
    submit(parts, ask(), owner=ANONYMOUS, limits=one, job_id=job_id)
    parts.storage.delete(layout.decoder_current("tiny"))
    assert submit(parts, ask(), owner=ANONYMOUS, limits=one, job_id=job_id).replayed
