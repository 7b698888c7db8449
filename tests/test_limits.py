"""What one owner may ask for: four limits that are held together, in Redis time, before anything is written."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from service.adapters.ledger import Ledger
from service.adapters.ledger_values import Admission, Verdict
from service.contract.errors import (
    DayUsedUp,
    LedgerFull,
    LimitReached,
    RequestInvalid,
    StorageUnavailable,
    TooManyQueued,
    TooManyRequests,
)
from service.contract.job import Status
from service.contract.limits import Limits
from service.lifecycle.end import cancel
from service.lifecycle.parts import Parts
from service.lifecycle.rebuild import rebuild
from service.lifecycle.submit import ANONYMOUS, Submitted, job_id_for, submit
from tests.fixtures.ledger import CREATED_AT, Clock, resolved
from tests.fixtures.parts import ask, run_all
from tests.fixtures.redis import RedisServer
from workers.shard import Studio


def limits(**fields: int) -> Limits:
    return Limits(**({"max_count": 1_000_000, "max_active_jobs": 1000} | fields))


def admit(
    ledger: Ledger, n: int, *, owner: str = "ann", samples: int = 10, **most: int
) -> Admission:
    return ledger.admit(f"job-{n:04d}", owner=owner, samples=samples, limits=limits(**most))


def create(ledger: Ledger, n: int, *, samples: int = 10) -> None:
    ledger.create(f"job-{n:04d}", owner="ann", request=resolved(samples), created_at=CREATED_AT)


class TestTheMinute:
    def test_a_minutes_requests_may_come_at_once(self, ledger: Ledger) -> None:
        """And the next one is told when to come back."""
        told = [admit(ledger, n, max_requests_per_minute=3) for n in range(4)]
        assert [admission.verdict for admission in told[:3]] == [Verdict.OK] * 3
        assert told[3] == Admission(Verdict.BUSY, "requests", left=0, wait_s=20)

    def test_the_bucket_drains_evenly(self, ledger: Ledger, clock: Clock) -> None:
        """One request every twenty seconds for a limit of three; after the wait that was told it passes."""
        for n in range(3):
            admit(ledger, n, max_requests_per_minute=3)
        clock.pass_s(19)
        assert admit(ledger, 8, max_requests_per_minute=3).wait_s == 1
        clock.pass_s(1)
        assert admit(ledger, 8, max_requests_per_minute=3).verdict == Verdict.OK
        assert admit(ledger, 9, max_requests_per_minute=3).verdict == Verdict.BUSY

    def test_owners_do_not_share(self, ledger: Ledger) -> None:
        """Owners are counted, not keys, and each by itself."""
        for owner in ("ann", "bob"):
            assert admit(ledger, 1, owner=owner, max_requests_per_minute=1).verdict == Verdict.OK


class TestQueued:
    def test_reserved_and_unfinished_images_count(self, ledger: Ledger) -> None:
        """From the reservation until the job has ended, once."""
        assert admit(ledger, 1, max_queued_samples=25).verdict == Verdict.OK
        create(ledger, 1)
        assert admit(ledger, 2, max_queued_samples=25).verdict == Verdict.OK
        told = admit(ledger, 3, max_queued_samples=25)
        assert told == Admission(Verdict.BUSY, "queued-samples", left=5, wait_s=0)
        for _ in range(2):
            ledger.resolve("job-0001", Status.CANCELLED, error=None, finished_at=CREATED_AT)
        assert admit(ledger, 3, samples=15, max_queued_samples=25).verdict == Verdict.OK
        assert admit(ledger, 4, samples=1, max_queued_samples=25).verdict == Verdict.BUSY

    def test_a_submit_that_died_gives_its_images_back(self, ledger: Ledger, clock: Clock) -> None:
        """When its reservation has run out."""
        admit(ledger, 1, samples=20, max_queued_samples=25)
        clock.pass_s(61)
        assert admit(ledger, 2, samples=25, max_queued_samples=25).verdict == Verdict.OK

    def test_a_rebuilt_ledger_counts_again(self, ledger: Ledger, redis_url: str) -> None:
        """After Redis was emptied, what is rebuilt is held against the limit and not charged anew."""
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        create(ledger, 1, samples=20)
        assert admit(ledger, 2, max_queued_samples=25).limit == "queued-samples"
        assert (
            admit(ledger, 2, samples=5, max_queued_samples=25, max_samples_per_day=5).verdict
            == "OK"
        )

    def test_nothing_is_left_when_all_has_ended(self, ledger: Ledger, redis_url: str) -> None:
        """Redis keeps no counter for an owner without jobs, but for the day's."""
        for n in range(3):
            admit(ledger, n)
            create(ledger, n)
            ledger.resolve(f"job-{n:04d}", Status.FAILED, error="x", finished_at=CREATED_AT)
        admit(ledger, 9)
        ledger.withdraw("job-0009", owner="ann", samples=10)
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            assert [key for key in client.scan_iter() if "ann" in key] == ["lm:day:ann:0"]


class TestTheDay:
    def test_a_day_ends_at_midnight_utc(self, ledger: Ledger, clock: Clock) -> None:
        """By Redis's clock; jobs that have ended still count."""
        clock.ms = 86_400_000 * 20_000 + 86_399_000
        assert admit(ledger, 1, max_samples_per_day=25).verdict == Verdict.OK
        ledger.create("job-0001", owner="ann", request=resolved(10), created_at=CREATED_AT)
        ledger.resolve("job-0001", Status.COMPLETED, error=None, finished_at=CREATED_AT)
        told = admit(ledger, 2, samples=16, max_samples_per_day=25)
        assert told == Admission(Verdict.BUSY, "samples-per-day", left=15, wait_s=1)
        clock.pass_s(1)
        assert admit(ledger, 2, samples=16, max_samples_per_day=25).verdict == Verdict.OK


class TestCharges:
    ALL = {"max_requests_per_minute": 1, "max_queued_samples": 10, "max_samples_per_day": 10}

    def test_a_refusal_takes_nothing(self, ledger: Ledger, clock: Clock) -> None:
        """Every limit is looked at before any is charged."""
        assert admit(ledger, 1, samples=11, **self.ALL).limit == "queued-samples"
        assert admit(ledger, 1, samples=10, **self.ALL).verdict == Verdict.OK

    def test_a_withdrawal_gives_all_back(self, ledger: Ledger) -> None:
        """A submit that failed costs nothing."""
        for n in range(5):
            assert admit(ledger, n, **self.ALL).verdict == Verdict.OK
            ledger.withdraw(f"job-{n:04d}", owner="ann", samples=10)

    def test_submits_of_one_job_share_a_charge(self, ledger: Ledger) -> None:
        """It is given back when the last of them gives up."""
        for _ in range(5):
            assert admit(ledger, 1, **self.ALL).verdict == Verdict.OK
        for _ in range(4):
            ledger.withdraw("job-0001", owner="ann", samples=10)
        assert admit(ledger, 2, **self.ALL).verdict == Verdict.BUSY
        ledger.withdraw("job-0001", owner="ann", samples=10)
        assert admit(ledger, 2, **self.ALL).verdict == Verdict.OK

    def test_another_body_under_the_same_id_is_charged_by_itself(self, ledger: Ledger) -> None:
        """Or a small job's reservation would let a large one pass."""
        assert admit(ledger, 1, samples=1, max_queued_samples=10).verdict == Verdict.OK
        assert admit(ledger, 1, samples=10, max_queued_samples=10).verdict == Verdict.BUSY

    def test_a_job_that_is_there_is_not_charged(self, ledger: Ledger) -> None:
        """A replay that gets this far."""
        admit(ledger, 1, **self.ALL)
        create(ledger, 1)
        assert admit(ledger, 1, **self.ALL).verdict == Verdict.EXISTS
        ledger.withdraw("job-0001", owner="ann", samples=10)
        assert admit(ledger, 2, **self.ALL).verdict == Verdict.BUSY


def ask_for(parts: Parts, *, count: int = 1024, seed: int = 1, **most: int) -> Submitted:
    return submit(parts, ask(count=count, seed=seed), owner=ANONYMOUS, limits=limits(**most))


@pytest.mark.parametrize(
    ("most", "accepted"),
    [
        ({"max_active_jobs": 7}, 7),
        ({"max_requests_per_minute": 7}, 7),
        ({"max_queued_samples": 7 * 1024 + 1023}, 7),
        ({"max_samples_per_day": 7 * 1024 + 1023}, 7),
        (
            {"max_active_jobs": 9, "max_queued_samples": 5 * 1024, "max_samples_per_day": 8 * 1024},
            5,
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_fifty_submits_at_once_never_pass_a_limit(
    parts: Parts, most: dict[str, int], accepted: int
) -> None:
    """Exactly as many as fit are accepted, and storage holds no trace of the others."""

    def once(seed: int) -> bool:
        try:
            ask_for(parts, seed=seed, **most)
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(once, range(50))) == accepted
    assert len(list(parts.storage.list("jobs/"))) == accepted


def test_each_limit_is_an_error_of_its_own(parts: Parts) -> None:
    """With the numbers, and the wait where there is one."""
    ask_for(parts)
    ask_for(parts, seed=2, max_requests_per_minute=1)
    with pytest.raises(TooManyRequests) as told:
        ask_for(parts, seed=3, max_requests_per_minute=1)
    assert 1 <= told.value.retry_after_s <= 60
    with pytest.raises(TooManyQueued, match="1025 images together and have room for"):
        ask_for(parts, max_queued_samples=1025)
    with pytest.raises(DayUsedUp) as used_up:
        ask_for(parts, max_samples_per_day=1025)
    assert used_up.value.allowance is not None
    assert used_up.value.allowance.quota == 1025


def test_a_job_that_could_never_fit_is_a_fault(parts: Parts) -> None:
    """Waiting would not help, so nobody is asked to."""
    with pytest.raises(RequestInvalid, match="at most 1000 samples"):
        ask_for(parts, max_queued_samples=2000, max_samples_per_day=1000)


def test_replays_and_rebuilds_are_free(parts: Parts, redis_url: str) -> None:
    """A minute's one request may be sent again as often as the network needs it, and Redis be lost."""
    once = limits(max_requests_per_minute=1, max_samples_per_day=1024, max_active_jobs=1)
    job_id = job_id_for(ANONYMOUS, "key")
    for again in range(3):
        answer = submit(parts, ask(count=1024), owner=ANONYMOUS, limits=once, job_id=job_id)
        assert answer.replayed == (again > 0)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert rebuild(parts) == 1
    assert (
        ask_for(parts, max_requests_per_minute=1, max_samples_per_day=1024).job.status == "queued"
    )


class Away:
    """A storage that takes no new object."""

    def __init__(self, storage: object) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name == "create":
            raise StorageUnavailable
        found: Callable[..., object] = getattr(self._storage, name)
        return found


def test_a_failed_submit_is_not_charged(parts: Parts) -> None:
    """Storage was away: the same request passes when it is back, whatever the limits."""
    once = {"max_requests_per_minute": 1, "max_samples_per_day": 1024, "max_queued_samples": 1024}
    away = Parts(Away(parts.storage), parts.ledger, parts.queue)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            ask_for(away, **once)
    assert ask_for(parts, **once).job.status == Status.QUEUED


def test_room_comes_back_as_jobs_end(studio: Studio) -> None:
    """Completed or cancelled, through the real path."""
    parts = studio.parts
    for seed in range(2):
        job = ask_for(parts, seed=seed, max_queued_samples=1024).job
        with pytest.raises(TooManyQueued):
            ask_for(parts, seed=9, max_queued_samples=1024)
        if seed:
            cancel(parts, job.id, owner=ANONYMOUS)
        else:
            run_all(studio, job)


def test_a_redis_that_is_nearly_full_takes_no_job(own_redis: RedisServer, parts: Parts) -> None:
    """Accepted jobs need the rest; within a second of having room again it takes jobs."""
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        ledger = Ledger(client)
        full = Parts(parts.storage, ledger, parts.queue)
        ask_for(full)
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", int(used / 0.95))
        ledger = Ledger(client)
        with pytest.raises(LedgerFull):
            ask_for(Parts(parts.storage, ledger, parts.queue), seed=2)
        assert len(list(parts.storage.list("jobs/"))) == 1
        client.config_set("maxmemory", used * 10)
        ask_for(Parts(parts.storage, Ledger(client), parts.queue), seed=2)
