"""Hypothesis calls the real scripts and the model in any order; every answer and all that is left must be equal."""

from typing import Any

import redis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from service.adapters.ledger import Ledger
from service.contract.job import Status
from service.contract.limits import Limits
from service.contract.request import Priority
from tests.fixtures.ledger import CREATED_AT, Clock, record, resolved
from tests.model.consistency import contradictions
from tests.model.expected import MAX_ATTEMPTS, ExpectedLedger

#: Samples of each job, whose owner is the letter: a dozen shards, for 10 sorts before 2, and few.
JOBS = {"a-job-001": 12_288, "b-job-001": 2048, "a-job-002": 100, "a-job-003": 2048}
NEW, URGENT = "a-job-002", "a-job-003"
SHARD = 1024
MOST_JOBS, MOST_QUEUED = 2, 13_000

#: Calls of the same job and shard are what matters, so these are the same most of the time.
jobs = st.sampled_from(["a-job-001"] * 3 + ["b-job-001"] * 2 + [NEW, URGENT])
comers = st.sampled_from([NEW] * 3 + [URGENT, "b-job-001"])
priorities = st.sampled_from(Priority)
shards = st.sampled_from([0] * 5 + [1, 2, 10, 12])
tokens = st.sampled_from(["one", "two"])
workers = st.sampled_from(["w1", "w2"])


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.redis.flushdb()
        self.clock, self.expected = Clock(), ExpectedLedger()
        self.ledger = Ledger(self.redis, max_attempts=MAX_ATTEMPTS, clock=self.clock)

    def teardown(self) -> None:
        self.redis.close()

    @property
    def now(self) -> int:
        return self.clock.ms

    @initialize()
    def some_jobs_are_there(self) -> None:
        for job in sorted(JOBS.keys() - {NEW, URGENT}):
            self.create(job, set(), Priority.NORMAL)

    @rule(seconds=st.sampled_from([1, 6, 11, 21, 31, 61, 301]))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_s(seconds)

    # a job's way in

    @rule(job=comers)
    def admit(self, job: str) -> None:
        owner, samples = job[0], JOBS[job]
        limits = Limits(max_count=10**6, max_active_jobs=MOST_JOBS, max_queued_samples=MOST_QUEUED)
        told = self.ledger.admit(job, owner=owner, samples=samples, limits=limits)
        most = {"most_jobs": MOST_JOBS, "most_queued": MOST_QUEUED}
        assert told.verdict == self.expected.admit(job, owner, samples, **most, now=self.now)

    @rule(job=comers)
    def withdraw(self, job: str) -> None:
        self.ledger.withdraw(job, owner=job[0], samples=JOBS[job])
        self.expected.withdraw(job, job[0], JOBS[job])

    @rule(job=comers, stored=st.sets(shards, max_size=2), priority=priorities)
    def creates(self, job: str, stored: set[int], priority: Priority) -> None:
        self.create(job, stored, Priority.INTERACTIVE if job == URGENT else priority)

    def create(self, job: str, stored: set[int], priority: Priority) -> None:
        request = resolved(count=JOBS[job], shard_size=SHARD)
        stored = {shard for shard in stored if shard < request.shards}
        told = self.ledger.create(
            job,
            owner=job[0],
            request=request,
            created_at=CREATED_AT,
            stored=stored,
            priority=priority,
        )
        sizes = {"shards": request.shards, "samples": request.count, "rank": priority.rank}
        assert told == self.expected.create(job, job[0], **sizes, stored=stored, now=self.now)

    # dispatch

    @rule(limit=st.integers(1, 4))
    def due(self, limit: int) -> None:
        assert self.ledger.due(limit) == self.expected.due(limit, self.now)

    @rule(job=jobs, window=st.integers(1, 5), room=st.integers(0, 5))
    def claims(self, job: str, window: int, room: int) -> None:
        self.claim(job, window, room)

    def claim(self, job: str, window: int, room: int) -> None:
        told = self.ledger.claim(job, window=window, room=room)
        asked = {"window": window, "room": room, "now": self.now}
        assert (told.status, told.shards) == self.expected.claim(job, **asked)

    # a shard's life

    @rule(job=jobs, shard=shards)
    def a_worker_falls_silent(self, job: str, shard: int) -> None:
        """Another is turned away, and after the lease let in; messages of both are sent again and again."""
        for token, seconds in (("one", 1), ("two", 21), ("two", 61)):
            self.begin(job, shard, token)
            self.clock.pass_s(seconds)
        for seconds in (31, 61, 121):
            self.claim(job, 5, 5)
            self.clock.pass_s(seconds)

    @rule(job=jobs, shard=shards)
    def turn(self, job: str, shard: int) -> None:
        assert self.ledger.choose(job, shard) == self.expected.choose(job, shard, self.now)

    @rule(job=st.sampled_from(["a-job-001", NEW]), begun=st.booleans(), claimed=st.booleans())
    def an_urgent_job_comes(self, job: str, begun: bool, claimed: bool) -> None:
        """By chance alone few messages wait when it does."""
        self.create(NEW, set(), Priority.BULK)
        self.claim(job, 5, 5)
        if begun:
            self.begin(job, 0, "one")
        self.create(URGENT, set(), Priority.INTERACTIVE)
        if claimed:
            self.claim(URGENT, 5, 5)
        for shard in (0, 1, 2):
            self.turn(job, shard)

    @rule(job=jobs, shard=shards, token=tokens)
    def begins(self, job: str, shard: int, token: str) -> None:
        self.begin(job, shard, token)

    def begin(self, job: str, shard: int, token: str) -> None:
        told = self.ledger.begin(job, shard, token).verdict
        assert told == self.expected.begin(job, shard, token, self.now)

    @rule(job=jobs, shard=shards, token=tokens)
    def extend(self, job: str, shard: int, token: str) -> None:
        told = self.ledger.extend(job, shard, token)
        assert told == self.expected.extend(job, shard, token, self.now)

    @rule(
        job=jobs,
        shard=shards,
        token=tokens,
        retry_s=st.sampled_from([5.0, 5.0, None]),
        counts=st.booleans(),
    )
    def release(
        self, job: str, shard: int, token: str, retry_s: float | None, counts: bool
    ) -> None:
        self.give_back(job, shard, token, retry_s, counts)

    @rule(job=jobs, shard=shards, counts=st.booleans())
    def a_try_fails(self, job: str, shard: int, counts: bool) -> None:
        """By chance alone few of those who give a shard back hold it."""
        self.begin(job, shard, "one")
        self.give_back(job, shard, "one", 5.0, counts)

    def give_back(
        self, job: str, shard: int, token: str, retry_s: float | None, counts: bool
    ) -> None:
        how = {"reason": "told so", "retry_s": retry_s, "counts": counts}
        told = self.ledger.release(job, shard, token, **how)  # type: ignore[arg-type]
        retry_ms = None if retry_s is None else int(retry_s * 1000)
        same = {"retry_ms": retry_ms, "counts": counts, "now": self.now}
        assert told == self.expected.release(job, shard, token, **same)  # type: ignore[arg-type]

    @rule(job=jobs, shard=shards, reused=st.booleans())
    def commit(self, job: str, shard: int, reused: bool) -> None:
        if job in self.expected.jobs and shard >= self.expected.jobs[job].shards:
            return
        told = self.ledger.commit(job, shard, record(), reused=reused)
        assert told == self.expected.commit(job, shard, reused=reused, now=self.now)

    @precondition(lambda self: any(j.status.wants_shards for j in self.expected.jobs.values()))
    @rule()
    def commit_all(self) -> None:
        """By chance alone few jobs would come to their end."""
        for job, life in self.expected.jobs.items():
            if life.status.wants_shards:
                for shard in range(life.shards):
                    told = self.ledger.commit(job, shard, record(), reused=False)
                    assert told == self.expected.commit(job, shard, reused=False, now=self.now)

    # a job's way out

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        assert self.ledger.cancel(job) == self.expected.cancel(job, self.now)

    @rule(job=jobs, holes=st.sets(st.integers(0, 2), min_size=1, max_size=2))
    def reopen(self, job: str, holes: set[int]) -> None:
        held = sorted(holes & self.expected.jobs[job].done) if job in self.expected.jobs else [0]
        self.ledger.reopen(job, held)
        self.expected.reopen(job, held, self.now)

    @rule(job=jobs, status=st.sampled_from([Status.COMPLETED, Status.CANCELLED]))
    def resolve(self, job: str, status: Status) -> None:
        """Of any job: a ledger that came back older than storage is told of an end that it did not see coming."""
        told = self.ledger.resolve(job, status, error=None, finished_at=CREATED_AT)
        assert told == self.expected.resolve(job, status)

    @precondition(lambda self: any(j.status.is_terminal for j in self.expected.jobs.values()))
    @rule(job=jobs)
    def forget(self, job: str) -> None:
        self.ledger.forget(job)
        self.expected.forget(job)

    # the fleet

    @rule(worker=workers, slots=st.integers(1, 4))
    def beat(self, worker: str, slots: int) -> None:
        self.ledger.heartbeat(worker, slots=slots, info="{}", ttl_s=10)
        self.expected.beats(worker, slots, self.now + 10_000)

    @rule(worker=workers)
    def goodbye(self, worker: str) -> None:
        self.ledger.goodbye(worker)
        self.expected.leaves(worker)

    @rule()
    def count_slots(self) -> None:
        assert self.ledger.live_slots() == self.expected.slots(self.now)

    # after each of them

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        assert contradictions(self.redis, self.now) == []

    @invariant()
    def all_that_is_kept_is_as_expected(self) -> None:
        for job in JOBS:
            assert self._kept(job) == self._expected(job)
        for owner in "ab":
            kept = int(self.redis.get(f"lm:queued:{owner}") or 0)
            assert kept == self.expected.queued(owner)

    def _kept(self, job: str) -> Any:
        key = f"lm:job:{job}"
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.hmget(key, "status", "done", "reused", "error")
            pipe.zrange(f"{key}:leases", 0, -1, withscores=True)
            for name in ("holders", "sent", "attempts"):
                pipe.hgetall(f"{key}:{name}")
            pipe.zscore(f"lm:due:{job[0]}", job)
            fields, leases, *rest = pipe.execute()
        return [fields, [tuple(lease) for lease in leases], *rest]

    def _expected(self, job: str) -> Any:
        life = self.expected.jobs.get(job)
        if life is None:
            return [[None] * 4, [], {}, {}, {}, None]
        leases = sorted(life.leases.items(), key=lambda lease: (lease[1], str(lease[0])))
        return [
            [life.status, str(len(life.done)), str(life.reused), life.error],
            [(str(shard), float(until)) for shard, until in leases],
            *(
                {str(shard): str(value) for shard, value in of_shards.items()}
                for of_shards in (life.holders, life.sent, life.attempts)
            ),
            life.due_ms,
        ]
