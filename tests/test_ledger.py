"""The ledger's transitions, each on its own, on a real Redis with a clock that the tests turn."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from service.adapters.ledger import Ledger
from service.adapters.ledger_values import Verdict
from service.contract.errors import LedgerUnavailable
from service.contract.job import Status
from service.contract.limits import Limits
from tests.fixtures.ledger import CREATED_AT, Clock, record, resolved
from tests.fixtures.redis import free_port


@pytest.fixture
def job(ledger: Ledger) -> Iterator[str]:
    """A job of four shards."""
    create(ledger, "job-0001")
    return "job-0001"


def create(ledger: Ledger, job_id: str, *, count: int = 4096, owner: str = "ann") -> Verdict:
    return ledger.create(job_id, owner=owner, request=resolved(count), created_at=CREATED_AT)


def admit(ledger: Ledger, job_id: str, *, owner: str = "ann", jobs: int) -> Verdict:
    limits = Limits(max_count=4096, max_active_jobs=jobs)
    return ledger.admit(job_id, owner=owner, samples=4096, limits=limits).verdict


def status_of(ledger: Ledger, job_id: str) -> Status:
    entry = ledger.read(job_id)
    assert entry is not None
    return entry.status


def commit_all(ledger: Ledger, job_id: str, shards: int = 4) -> list[Verdict]:
    return [ledger.commit(job_id, shard, record(), reused=False) for shard in range(shards)]


class TestEntering:
    def test_a_created_job_is_due_at_once(self, ledger: Ledger, job: str) -> None:
        """The outbox holds a job before any message was sent for it."""
        assert ledger.due(10) == [job]

    def test_creating_twice_changes_nothing(self, ledger: Ledger, job: str) -> None:
        """A replay or a rebuild never resets a job that moves."""
        ledger.begin(job, 0, "token")
        assert create(ledger, job) == Verdict.EXISTS
        assert status_of(ledger, job) == Status.RUNNING

    def test_an_owner_has_a_most_of_active_jobs(self, ledger: Ledger) -> None:
        """Reservations count like jobs, so that a burst cannot slip past the limit."""
        assert admit(ledger, "job-0001", owner="ann", jobs=2) == Verdict.OK
        create(ledger, "job-0001")
        assert admit(ledger, "job-0002", owner="ann", jobs=2) == Verdict.OK
        assert admit(ledger, "job-0003", owner="ann", jobs=2) == Verdict.BUSY
        assert admit(ledger, "job-0003", owner="bob", jobs=2) == Verdict.OK

    def test_a_reservation_is_held_once_and_expires(self, ledger: Ledger, clock: Clock) -> None:
        """A submit that died gives its place back within a minute."""
        for _ in range(2):
            assert admit(ledger, "job-0001", owner="ann", jobs=1) == Verdict.OK
        assert admit(ledger, "job-0002", owner="ann", jobs=1) == Verdict.BUSY
        clock.pass_s(61)
        assert admit(ledger, "job-0002", owner="ann", jobs=1) == Verdict.OK

    def test_a_withdrawn_reservation_frees_its_place(self, ledger: Ledger) -> None:
        """A refused submit does not count against its owner."""
        admit(ledger, "job-0001", jobs=1)
        ledger.withdraw("job-0001", owner="ann", samples=4096)
        assert admit(ledger, "job-0002", owner="ann", jobs=1) == Verdict.OK

    def test_fifty_admits_at_once_never_pass_the_limit(self, ledger: Ledger) -> None:
        """Counting and reserving is one step."""
        with ThreadPoolExecutor(16) as pool:
            verdicts = list(pool.map(lambda n: admit(ledger, f"job-{n:04d}", jobs=7), range(50)))
        assert verdicts.count(Verdict.OK) == 7

    def test_a_rebuilt_job_starts_with_what_is_stored(self, ledger: Ledger) -> None:
        """Stored shards are not sent again after Redis was lost."""
        ledger.create(
            "job-0001", owner="ann", request=resolved(), created_at=CREATED_AT, stored=[0, 2]
        )
        entry = ledger.read("job-0001")
        assert entry is not None
        assert (entry.progress.shards_done, entry.progress.samples_done) == (2, 2048)
        assert ledger.claim("job-0001", window=9, room=9).shards == [1, 3]

    def test_a_rebuilt_job_with_every_shard_is_to_be_finished(self, ledger: Ledger) -> None:
        """Redis lost between the last commit and the outcome."""
        ledger.create(
            "job-0001", owner="ann", request=resolved(), created_at=CREATED_AT, stored=range(4)
        )
        assert ledger.claim("job-0001", window=9, room=9).status == Status.FINALIZING


class TestDispatch:
    def test_no_more_than_the_window_is_out(self, ledger: Ledger, job: str) -> None:
        """A large job never fills the queue."""
        assert ledger.claim(job, window=3, room=9).shards == [0, 1, 2]
        assert ledger.claim(job, window=3, room=9).shards == []
        ledger.commit(job, 1, record(), reused=False)
        assert ledger.claim(job, window=3, room=9).shards == [3]

    def test_the_queues_room_bounds_a_claim(self, ledger: Ledger, job: str) -> None:
        """What did not fit stays due."""
        assert ledger.claim(job, window=9, room=1).shards == [0]
        assert ledger.due(9) == [job]
        assert ledger.claim(job, window=9, room=0).shards == []

    def test_a_lost_message_is_sent_again_with_doubling_patience(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """Thirty seconds, then a minute: a message may only be waiting behind a long queue."""
        ledger.claim(job, window=1, room=9)
        clock.pass_s(31)
        assert ledger.due(9) == [job]
        assert ledger.claim(job, window=1, room=9).shards == [0]
        clock.pass_s(31)
        assert ledger.due(9) == []
        clock.pass_s(30)
        assert ledger.claim(job, window=1, room=9).shards == [0]

    def test_a_lost_bit_is_found_again(self, ledger: Ledger, job: str, redis_url: str) -> None:
        """Redis came back with an older bitmap than its counters: every shard is looked at again."""
        ledger.claim(job, window=9, room=9)
        for shard in range(3):
            ledger.commit(job, shard, record(), reused=False)
        with redis.Redis.from_url(redis_url) as client:
            client.setbit(f"lm:job:{job}:done", 1, 0)
            client.delete(f"lm:job:{job}:leases")
        ledger.claim(job, window=9, room=9)
        assert ledger.claim(job, window=9, room=9).shards == [1, 3]

    def test_owners_take_turns(self, ledger: Ledger) -> None:
        """A hundred jobs of one owner do not stand in front of another's one."""
        for n in range(100):
            create(ledger, f"ann-{n:04d}", owner="ann")
        create(ledger, "bob-0000", owner="bob")
        assert "bob-0000" in ledger.due(2)

    def test_the_owner_served_longest_ago_is_first(self, ledger: Ledger) -> None:
        """Turns go on where they stopped, also with one job a turn."""
        for owner in ("ann", "bob", "cem"):
            for n in range(2):
                create(ledger, f"{owner}-{n:04d}", owner=owner)
        firsts = [ledger.due(1)[0].partition("-")[0] for _ in range(6)]
        assert sorted(firsts[:3]) == ["ann", "bob", "cem"]
        assert firsts[:3] == firsts[3:]

    @pytest.mark.parametrize("owners", [8, 100])
    def test_turns_hold_for_few_and_for_many_owners(self, ledger: Ledger, owners: int) -> None:
        """However many have work, each is served once before any is served twice."""
        for n in range(owners):
            for job in range(2):
                create(ledger, f"{n:04d}-job-{job}", owner=f"owner-{n:04d}")
        served = [job.partition("-")[0] for _ in range(owners) for job in ledger.due(2)]
        assert served[:owners] == served[owners:]
        assert len(set(served)) == owners

    def test_owners_without_due_work_stand_in_nobodys_way(
        self, ledger: Ledger, clock: Clock
    ) -> None:
        """A hundred owners whose shards are all out, and one with work: that one is found."""
        for n in range(100):
            create(ledger, f"busy-{n:04d}", owner=f"busy-{n:04d}")
            ledger.claim(f"busy-{n:04d}", window=9, room=9)
        create(ledger, "bob-0000", owner="bob")
        assert ledger.due(5) == ["bob-0000"]
        clock.pass_s(31)
        assert len(ledger.due(200)) == 101

    def test_an_owner_whose_jobs_ended_is_forgotten(self, ledger: Ledger, redis_url: str) -> None:
        """Owners come and go; what Redis keeps of them does not grow."""
        create(ledger, "job-0001")
        assert ledger.unfinished() == {"job-0001"}
        ledger.cancel("job-0001")
        ledger.resolve("job-0001", Status.CANCELLED, error=None, finished_at=CREATED_AT)
        assert ledger.unfinished() == set()
        with redis.Redis.from_url(redis_url) as client:
            assert not client.exists("lm:owners", "lm:ready", "lm:later", "lm:due:ann")


class TestShard:
    def test_a_shard_is_run_by_one_worker_at_a_time(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """A doubled message is turned away while the first one's worker lives, and let in when it is silent."""
        assert ledger.begin(job, 0, "first").verdict == Verdict.OK
        assert ledger.begin(job, 0, "second").verdict == Verdict.BUSY
        clock.pass_s(21)
        assert ledger.begin(job, 0, "second").verdict == Verdict.OK
        assert ledger.extend(job, 0, "first") == Verdict.LOST

    def test_a_worker_that_extends_keeps_its_shard(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """Long shards are safe as long as their worker beats."""
        ledger.begin(job, 0, "first")
        for _ in range(5):
            clock.pass_s(15)
            assert ledger.extend(job, 0, "first") == Verdict.OK
        assert ledger.begin(job, 0, "second").verdict == Verdict.BUSY

    def test_the_request_comes_from_the_ledger(self, ledger: Ledger, job: str) -> None:
        """A message carries an id and a number; what is to be made is never taken from the queue."""
        assert ledger.begin(job, 0, "token").request == resolved()

    def test_a_commit_counts_once(self, ledger: Ledger, job: str) -> None:
        """Delivered twice, finished twice, counted once."""
        assert ledger.commit(job, 0, record(), reused=True) == Verdict.OK
        assert ledger.commit(job, 0, record(), reused=True) == Verdict.DUP
        entry = ledger.read(job)
        assert entry is not None
        assert (entry.progress.shards_done, entry.progress.shards_reused) == (1, 1)
        assert ledger.begin(job, 0, "late").verdict == Verdict.DONE

    def test_the_last_commit_tells_its_worker_to_finish(self, ledger: Ledger, job: str) -> None:
        """Exactly one worker is told, and the job is past cancelling from then on."""
        assert commit_all(ledger, job) == [Verdict.OK, Verdict.OK, Verdict.OK, Verdict.LAST]
        assert status_of(ledger, job) == Status.FINALIZING
        assert ledger.cancel(job) == Status.FINALIZING

    def test_samples_done_knows_the_short_last_shard(self, ledger: Ledger) -> None:
        """Progress never runs past the count."""
        create(ledger, "job-0002", count=2500)
        for shard, done in ((2, 452), (0, 1476), (1, 2500)):
            ledger.commit("job-0002", shard, record(), reused=False)
            entry = ledger.read("job-0002")
            assert entry is not None
            assert entry.progress.samples_done == done

    def test_a_poison_shard_fails_its_job(self, ledger: Ledger, job: str, clock: Clock) -> None:
        """A shard that kills its worker three times is not tried a fourth time."""
        for attempt in range(3):
            assert ledger.begin(job, 1, f"try-{attempt}").verdict == Verdict.OK
            clock.pass_s(21)
        assert ledger.begin(job, 1, "try-3").verdict == Verdict.FAIL
        entry = ledger.read(job)
        assert entry is not None
        assert entry.status == Status.FAILING
        assert entry.error == "shard 1 failed 3 times: its worker died each time"

    def test_a_failed_try_waits_and_keeps_its_reason(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """The reason of the last try is what the job's error says in the end."""
        for attempt in range(3):
            ledger.begin(job, 0, f"try-{attempt}")
            assert (
                ledger.release(job, 0, f"try-{attempt}", reason="disk full", retry_s=5)
                == Verdict.OK
            )
            assert 0 not in ledger.claim(job, window=9, room=9).shards
            clock.pass_s(6)
            assert 0 in ledger.claim(job, window=9, room=9).shards
        assert ledger.begin(job, 0, "try-3").verdict == Verdict.FAIL
        entry = ledger.read(job)
        assert entry is not None
        assert entry.error == "shard 0 failed 3 times: disk full"

    def test_a_try_that_does_not_count_leaves_all_attempts(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """A storage outage of any length does not fail a job."""
        for attempt in range(10):
            assert ledger.begin(job, 0, f"try-{attempt}").verdict == Verdict.OK
            ledger.release(job, 0, f"try-{attempt}", reason="away", retry_s=5, counts=False)
            clock.pass_s(6)
        assert status_of(ledger, job) == Status.RUNNING

    def test_a_hopeless_shard_fails_its_job_at_once(self, ledger: Ledger, job: str) -> None:
        """What no try can change is not tried again."""
        ledger.begin(job, 2, "token")
        verdict = ledger.release(job, 2, "token", reason="bad decoder", retry_s=None)
        assert verdict == Verdict.FAIL
        assert ledger.claim(job, window=9, room=9) == (Status.FAILING, [], 0)

    def test_only_the_holder_gives_a_shard_back(self, ledger: Ledger, job: str) -> None:
        """A zombie cannot take a shard from the worker that has it now."""
        ledger.begin(job, 0, "holder")
        assert ledger.release(job, 0, "zombie", reason="x", retry_s=None) == Verdict.LOST
        assert ledger.extend(job, 0, "holder") == Verdict.OK


class TestEnding:
    def test_a_cancelled_job_takes_no_more_shards(self, ledger: Ledger, job: str) -> None:
        """Begin, extend, commit and release all see the cancel."""
        ledger.begin(job, 0, "token")
        assert ledger.cancel(job) == Status.CANCELLING
        assert ledger.begin(job, 1, "other").verdict == Verdict.STOP
        assert ledger.extend(job, 0, "token") == Verdict.STOP
        assert ledger.commit(job, 0, record(), reused=False) == Verdict.STOP
        assert ledger.release(job, 0, "token", reason="x", retry_s=1) == Verdict.STOP
        assert ledger.claim(job, window=9, room=9) == (Status.CANCELLING, [], 0)

    def test_an_intent_is_handed_to_one_finisher_at_a_time(
        self, ledger: Ledger, job: str, clock: Clock
    ) -> None:
        """While a finisher works the sweep leaves the job alone; a dead finisher is replaced."""
        commit_all(ledger, job)
        assert ledger.due(9) == [job]
        ledger.claim(job, window=9, room=9)
        assert ledger.due(9) == []
        clock.pass_s(11)
        assert ledger.due(9) == [job]

    def test_a_hole_reopens_the_job(self, ledger: Ledger, job: str) -> None:
        """A shard that storage lost is made again, and only that one."""
        commit_all(ledger, job)
        ledger.reopen(job, [2])
        assert status_of(ledger, job) == Status.RUNNING
        assert ledger.claim(job, window=9, room=9).shards == [2]
        assert ledger.commit(job, 2, record(), reused=False) == Verdict.LAST

    def test_a_resolved_job_leaves_the_outbox_and_never_changes(
        self, ledger: Ledger, job: str
    ) -> None:
        """Told once, told for ever: a second, different outcome is a conflict and is not taken."""
        commit_all(ledger, job)
        resolve = {"error": None, "finished_at": CREATED_AT}
        assert ledger.resolve(job, Status.COMPLETED, **resolve) == Verdict.OK
        assert ledger.due(9) == []
        assert ledger.resolve(job, Status.COMPLETED, **resolve) == Verdict.OK
        assert ledger.resolve(job, Status.CANCELLED, **resolve) == Verdict.CONFLICT
        assert ledger.cancel(job) == Status.COMPLETED
        assert status_of(ledger, job) == Status.COMPLETED

    def test_a_resolved_job_expires(self, ledger: Ledger, job: str, redis_url: str) -> None:
        """Redis holds only what moves; storage answers for the rest."""
        ledger.commit(job, 0, record(), reused=False)
        ledger.cancel(job)
        ledger.resolve(job, Status.CANCELLED, error=None, finished_at=CREATED_AT)
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            left = client.keys(f"lm:job:{job}*")
            assert all(0 < client.pttl(key) <= 86_400_000 for key in left)
            assert sorted(left) == [f"lm:job:{job}", f"lm:job:{job}:done"]

    def test_only_an_ended_job_is_forgotten(self, ledger: Ledger, job: str) -> None:
        """Forgetting never loses accepted work."""
        ledger.forget(job)
        assert ledger.read(job) is not None
        ledger.cancel(job)
        ledger.resolve(job, Status.CANCELLED, error=None, finished_at=CREATED_AT)
        ledger.forget(job)
        assert ledger.read(job) is None

    def test_unknown_jobs_are_gone(self, ledger: Ledger) -> None:
        """A message of a job that Redis forgot does nothing."""
        assert ledger.begin("job-9999", 0, "token").verdict == Verdict.GONE
        assert ledger.commit("job-9999", 0, record(), reused=False) == Verdict.GONE
        assert ledger.cancel("job-9999") is None
        assert ledger.claim("job-9999", window=1, room=1).status is None
        assert ledger.read("job-9999") is None


class TestFleet:
    def test_slots_are_those_of_live_workers(self, ledger: Ledger, clock: Clock) -> None:
        """A worker that falls silent, or says goodbye, is not counted on."""
        ledger.heartbeat("w1", slots=2, info="{}", ttl_s=10)
        clock.pass_s(6)
        ledger.heartbeat("w2", slots=3, info="{}", ttl_s=10)
        assert ledger.live_slots() == 5
        clock.pass_s(6)
        assert ledger.live_slots() == 3
        ledger.goodbye("w2")
        assert ledger.live_slots() == 0

    def test_the_total_of_slots_follows_every_change(self, ledger: Ledger, clock: Clock) -> None:
        """Beating again, with other slots, after a silence, after a goodbye: never counted twice, never forgotten."""
        for slots in (2, 2, 5):
            ledger.heartbeat("w1", slots=slots, info="{}", ttl_s=10)
            assert ledger.live_slots() == slots
        clock.pass_s(11)
        ledger.heartbeat("w1", slots=3, info="{}", ttl_s=10)
        assert ledger.live_slots() == 3
        for _ in range(2):
            ledger.goodbye("w1")
            assert ledger.live_slots() == 0
        ledger.heartbeat("w1", slots=4, info="{}", ttl_s=10)
        assert ledger.live_slots() == 4

    def test_an_emptied_redis_is_fresh_until_rebuilt(self, ledger: Ledger, redis_url: str) -> None:
        """FLUSHALL is noticed like a restart."""
        assert ledger.is_fresh()
        ledger.mark_rebuilt()
        assert not ledger.is_fresh()
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        assert ledger.is_fresh()

    def test_a_dead_redis_is_told_as_such(self) -> None:
        """No redis-py class and no URL leaves the adapter."""
        client = redis.Redis(port=free_port(), password="hunter2", decode_responses=True)
        with pytest.raises(LedgerUnavailable) as told:
            Ledger(client).read("job-0001")
        assert "hunter2" not in str(told.value)


class TestTransitions:
    def test_no_script_leaves_the_legal_ways(self, ledger: Ledger, clock: Clock) -> None:
        """Thousands of calls in random order: every change of a status is one that the enum allows."""
        rng = random.Random(7)
        seen: set[tuple[Status, Status]] = set()
        for number in range(60):
            job_id = f"walk-{number:04d}"
            create(ledger, job_id, count=2048)
            before = status_of(ledger, job_id)
            for _ in range(25):
                rng.choice(calls(ledger, job_id, rng.randrange(2)))()
                clock.pass_s(rng.choice([0, 1, 25]))
                now = status_of(ledger, job_id)
                if now != before:
                    assert before.may_become(now), (before, now)
                    seen.add((before, now))
                before = now
        assert len(seen) >= 9


def calls(ledger: Ledger, job_id: str, shard: int) -> list[Callable[[], object]]:
    """Whatever a worker, a finisher or a client may do next; outcomes only as an intent leads to them."""

    def resolve() -> None:
        outcome = status_of(ledger, job_id).intended_outcome
        if outcome is not None:
            ledger.resolve(job_id, outcome, error=None, finished_at=CREATED_AT)

    def hopeless() -> None:
        ledger.release(job_id, shard, "token", reason="bad", retry_s=None)

    return [
        lambda: ledger.claim(job_id, window=4, room=4),
        lambda: ledger.begin(job_id, shard, "token"),
        lambda: ledger.begin(job_id, shard, "token"),
        lambda: ledger.extend(job_id, shard, "token"),
        lambda: ledger.commit(job_id, shard, record(), reused=False),
        lambda: ledger.commit(job_id, shard, record(), reused=False),
        lambda: ledger.reopen(job_id, [shard]),
        lambda: ledger.cancel(job_id),
        hopeless,
        resolve,
    ]
