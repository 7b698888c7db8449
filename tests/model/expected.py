"""What the ledger's scripts do, in Python: one job after the other, one moment after the other, no Redis.

Written from the design, not from the scripts, so that a mistake has to be made twice to go unnoticed.
"""

from typing import Any

from service.adapters.ledger import FINISHER_LEASE_MS, MAX_QUEUE_LEASE_MS, RESERVATION_MS
from service.contract.job import Status
from tests.model.life import Life

LEASE_MS, QUEUE_LEASE_MS, MAX_ATTEMPTS = 20_000, 30_000, 3


class ExpectedLedger:
    """Every method is given the moment; verdicts are the scripts' words."""

    def __init__(self) -> None:
        self.jobs: dict[str, Life] = {}
        self.reserved: dict[str, dict[tuple[str, int], int]] = {}
        self.sharers: dict[tuple[str, str, int], int] = {}
        self.turns: dict[str, int] = {}
        self.turn = 0
        self.workers: dict[str, tuple[int, int]] = {}

    # a job's way in

    def active(self, owner: str) -> list[Life]:
        return [j for j in self.jobs.values() if j.owner == owner and j.due_ms is not None]

    def queued(self, owner: str) -> int:
        """Samples that are reserved or in unfinished jobs."""
        waiting = sum(samples for _, samples in self.reserved.get(owner, {}))
        return waiting + sum(job.samples for job in self.active(owner))

    def admit(
        self, job_id: str, owner: str, samples: int, *, most_jobs: int, most_queued: int, now: int
    ) -> str:
        if job_id in self.jobs:
            return "EXISTS"
        places = self.reserved.setdefault(owner, {})
        for old in [place for place, until in places.items() if until <= now]:
            self._let_go(owner, *old)
        place = (job_id, samples)
        if place not in places:
            if len(self.active(owner)) + len(places) >= most_jobs:
                return "BUSY"
            if most_queued and self.queued(owner) + samples > most_queued:
                return "BUSY"
        places[place] = now + RESERVATION_MS
        self.sharers[owner, *place] = self.sharers.get((owner, *place), 0) + 1
        return "OK"

    def withdraw(self, job_id: str, owner: str, samples: int) -> None:
        if (job_id, samples) in self.reserved.get(owner, {}):
            self.sharers[owner, job_id, samples] -= 1
            if self.sharers[owner, job_id, samples] <= 0:
                self._let_go(owner, job_id, samples)

    def _let_go(self, owner: str, job_id: str, samples: int) -> None:
        self.reserved.get(owner, {}).pop((job_id, samples), None)
        self.sharers.pop((owner, job_id, samples), None)

    def create(
        self,
        job_id: str,
        owner: str,
        *,
        shards: int,
        samples: int,
        rank: int,
        stored: set[int],
        now: int,
    ) -> str:
        self._let_go(owner, job_id, samples)
        if job_id in self.jobs:
            return "EXISTS"
        status = Status.FINALIZING if len(stored) == shards else Status.QUEUED
        self.turns.setdefault(owner, 0)
        self.jobs[job_id] = Life(owner, shards, samples, status, set(stored), now, rank)
        return "CREATED"

    # dispatch

    def due(self, limit: int, now: int) -> list[str]:
        waiting = {
            owner: sorted(
                (job.due_ms, job_id)
                for job_id, job in self.jobs.items()
                if job.owner == owner and job.due_ms is not None and job.due_ms <= now
            )
            for owner in sorted(self.turns, key=lambda owner: (self.turns[owner], owner))
        }
        found: list[str] = []
        depth = 0
        while len(found) < limit and any(len(jobs) > depth for jobs in waiting.values()):
            for owner, jobs in waiting.items():
                if depth < len(jobs) and len(found) < limit:
                    found.append(jobs[depth][1])
                    self.turn += 1
                    self.turns[owner] = self.turn
            depth += 1
        return found

    def claim(self, job_id: str, *, window: int, room: int, now: int) -> tuple[Any, list[int]]:
        job = self.jobs.get(job_id)
        if job is None:
            return None, []
        if not job.status.wants_shards:
            job.due_ms = None if job.status.is_terminal else now + FINISHER_LEASE_MS
            return job.status, []
        out = self._silent(job, window, now) + self._fresh(job)
        live = sum(until > now for until in job.leases.values())
        sent = out[: max(0, min(window - live, room))]
        for shard in sent:
            self._send(job, shard, now)
        self._look_on(job, window, now)
        return job.status, sent

    def _silent(self, job: Life, window: int, now: int) -> list[int]:
        """Shards whose lease ran out, soonest first; shards are names in Redis, so 10 comes before 2."""
        run_out = [(until, str(shard)) for shard, until in job.leases.items() if until <= now]
        return [int(shard) for _, shard in sorted(run_out)[:window]]

    def _fresh(self, job: Life) -> list[int]:
        """Shards that were never looked at since the last look at all."""
        return [s for s in range(job.next, job.shards) if s not in job.done | job.leases.keys()]

    def _send(self, job: Life, shard: int, now: int) -> None:
        job.sent[shard] = job.sent.get(shard, 0) + 1
        lease = min(QUEUE_LEASE_MS * 2 ** (job.sent[shard] - 1), MAX_QUEUE_LEASE_MS)
        job.holders.pop(shard, None)
        job.leases[shard] = now + lease

    def _look_on(self, job: Life, window: int, now: int) -> None:
        left = self._fresh(job)
        live = sum(until > now for until in job.leases.values())
        starved = live < window and bool(left)
        job.due_ms = now if starved or not job.leases else min(job.leases.values())

    # a shard's life

    def choose(self, job_id: str, shard: int, now: int) -> tuple[str, int, bool]:
        """What a worker runs for a message: its shard, unless one of the owner's waits that is more urgent."""
        job = self.jobs.get(job_id)
        if job is not None and self._may_begin(job, shard, now):
            for other_id, other in self._more_urgent(job):
                waiting = self._waiting(other, now)
                if waiting:
                    self._takes(other, waiting[0], now)
                    self._is_put_back(job, shard, now)
                    return other_id, waiting[0], self._was_tried(other_id, waiting[0])
        return job_id, shard, self._was_tried(job_id, shard)

    def _may_begin(self, job: Life, shard: int, now: int) -> bool:
        is_held = shard in job.holders and job.leases.get(shard, 0) > now
        is_open = 0 <= shard < job.shards and shard not in job.done
        return job.status.wants_shards and is_open and not is_held

    def _more_urgent(self, job: Life) -> list[tuple[str, Life]]:
        """A message of a job of one shard, which is read first, is none for larger jobs."""
        found = [
            (other_id, other)
            for other_id, other in self.jobs.items()
            if other.owner == job.owner and other.rank < job.rank and other.status.wants_shards
            if job.shards > 1 or other.shards == 1
        ]
        return sorted(found, key=lambda it: (it[1].rank, it[0]))

    def _waiting(self, job: Life, now: int) -> list[int]:
        """Shards that nobody runs and that wait for no later moment: silent ones, new ones, then sent ones."""
        return self._silent(job, 1, now) or self._fresh(job) or sorted(job.sent)

    def _takes(self, job: Life, shard: int, now: int) -> None:
        if shard not in job.leases:
            job.next = shard + 1
        job.holders.pop(shard, None)
        job.sent.pop(shard, None)
        job.leases[shard] = now + QUEUE_LEASE_MS
        job.due_by(now + QUEUE_LEASE_MS)

    def _is_put_back(self, job: Life, shard: int, now: int) -> None:
        job.holders.pop(shard, None)
        job.sent.pop(shard, None)
        job.leases[shard] = now
        job.due_by(now)

    def _was_tried(self, job_id: str, shard: int) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and job.attempts.get(shard, 0) > 0 and shard not in job.holders

    def begin(self, job_id: str, shard: int, token: str, now: int) -> str:
        job = self.jobs.get(job_id)
        if job is None or not 0 <= shard < job.shards:
            return "GONE"
        if shard in job.done:
            return "DONE"
        if not job.status.wants_shards:
            return "STOP"
        if job.holders.get(shard, token) != token and job.leases.get(shard, 0) > now:
            return "BUSY"
        job.attempts[shard] = job.attempts.get(shard, 0) + 1
        if job.attempts[shard] > MAX_ATTEMPTS:
            return job.fails(f"shard {shard} failed {MAX_ATTEMPTS} times: {job.last_error}", now)
        job.holders[shard], job.leases[shard] = token, now + LEASE_MS
        job.sent.pop(shard, None)
        job.status = Status.RUNNING
        return "OK"

    def _held(self, job_id: str, shard: int, token: str) -> str:
        job = self.jobs.get(job_id)
        if job is None or not job.status.wants_shards:
            return "STOP"
        return "OK" if job.holders.get(shard) == token else "LOST"

    def extend(self, job_id: str, shard: int, token: str, now: int) -> str:
        verdict = self._held(job_id, shard, token)
        if verdict == "OK" and shard in self.jobs[job_id].leases:
            self.jobs[job_id].leases[shard] = now + LEASE_MS
        return verdict

    def release(
        self, job_id: str, shard: int, token: str, *, retry_ms: int | None, counts: bool, now: int
    ) -> str:
        verdict = self._held(job_id, shard, token)
        if verdict != "OK":
            return verdict
        job = self.jobs[job_id]
        del job.holders[shard]
        if retry_ms is None:
            return job.fails(f"shard {shard}: told so", now)
        job.last_error = "told so"
        job.attempts[shard] -= not counts
        job.leases[shard] = now + retry_ms
        job.due_by(now + retry_ms)
        return "OK"

    def commit(self, job_id: str, shard: int, *, reused: bool, now: int) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "GONE"
        if shard in job.done:
            return "DUP"
        if not job.status.wants_shards:
            return "STOP"
        job.done.add(shard)
        for of_shards in (job.leases, job.holders, job.attempts, job.sent):
            of_shards.pop(shard, None)  # type: ignore[attr-defined]
        job.reused += reused
        job.due_by(now)
        if len(job.done) < job.shards:
            return "OK"
        job.status = Status.FINALIZING
        return "LAST"

    # a job's way out

    def cancel(self, job_id: str, now: int) -> Status | None:
        job = self.jobs.get(job_id)
        if job is None:
            return None
        if job.status.wants_shards:
            job.status, job.due_ms = Status.CANCELLING, now
        return job.status

    def reopen(self, job_id: str, holes: list[int], now: int) -> None:
        job = self.jobs.get(job_id)
        if job is not None and job.status == Status.FINALIZING:
            job.done -= set(holes)
            job.status, job.next, job.due_ms = Status.RUNNING, 0, now

    def resolve(self, job_id: str, status: Status) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "GONE"
        if job.status.is_terminal and job.status != status:
            return "CONFLICT"
        job.status, job.due_ms = status, None
        for of_shards in (job.leases, job.holders, job.attempts, job.sent):
            of_shards.clear()  # type: ignore[attr-defined]
        self._part(job.owner)
        return "OK"

    def _part(self, owner: str) -> None:
        """An owner without unfinished jobs has no turn."""
        if not self.active(owner):
            self.turns.pop(owner, None)

    def forget(self, job_id: str) -> None:
        if job_id in self.jobs and self.jobs[job_id].status.is_terminal:
            del self.jobs[job_id]

    # the fleet

    def beats(self, worker: str, slots: int, until: int) -> None:
        self.workers[worker] = (until, slots)

    def leaves(self, worker: str) -> None:
        self.workers.pop(worker, None)

    def slots(self, now: int) -> int:
        self.workers = {name: it for name, it in self.workers.items() if it[0] > now}
        return sum(slots for _, slots in self.workers.values())
