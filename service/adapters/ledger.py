"""The ledger: what moves about a job, in Redis. Every transition is one Lua script, so none is ever half done.

Nothing here is the truth: storage decides (see `service/lifecycle`), and the ledger can be built again from it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

import redis

from service.adapters.audits import Audits
from service.adapters.fleet import Fleet
from service.adapters.ledger_values import (
    Admission,
    Begin,
    Choice,
    Claim,
    Entry,
    Verdict,
    entry_of,
)
from service.adapters.redis_client import answered
from service.adapters.redis_memory import RedisMemory
from service.adapters.replies import Replies
from service.adapters.turns import Turns
from service.adapters.webhook_schedule import WebhookSchedule
from service.contract.job import Status
from service.contract.limits import Limits
from service.contract.manifest import ShardRecord
from service.contract.request import Priority, ResolvedRequest

_SCRIPTS = (
    *("admit", "withdraw", "create", "due", "claim"),
    *("choose", "begin", "extend", "release", "commit"),
    *("cancel", "reopen", "resolve", "forget"),
    *("heartbeat", "slots", "work_note"),
    *("webhook_due", "webhook_note", "webhook_claim", "webhook_release"),
)

#: A reservation outlives any submit that still answers its client.
RESERVATION_MS = 60_000
#: A finisher that died is replaced after this.
FINISHER_LEASE_MS = 10_000
MAX_QUEUE_LEASE_MS = 300_000


class Ledger:
    """Job state in Redis. Every method raises LedgerUnavailable when Redis does not answer.

    `clock` gives milliseconds for tests with virtual time; by default the scripts ask the server, because
    leases must not depend on a worker's clock.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        lease_s: float = 20.0,
        queue_lease_s: float = 30.0,
        max_attempts: int = 5,
        ttl_s: float = 86_400.0,
        clock: Callable[[], int | str] = lambda: "",
    ) -> None:
        # redis-py types every answer as sync or async, bytes or text; ours is sync and text.
        self._redis: Any = client
        self._memory = RedisMemory(client)
        self._clock = clock
        self._lease_ms, self._queue_lease_ms = int(lease_s * 1000), int(queue_lease_s * 1000)
        self._max_attempts, self._ttl_ms = max_attempts, int(ttl_s * 1000)
        self._scripts = {name: client.register_script(_source(name)) for name in _SCRIPTS}
        self.webhooks = WebhookSchedule(self._run)
        self.audits, self.replies = Audits(client), Replies(client)
        self.fleet = Fleet(client, self._run)
        self.turns, self.lease_s, self.max_attempts = Turns(client), lease_s, max_attempts

    def _run(self, script: str, job_id: str, *args: Any) -> Any:
        with answered():
            return self._scripts[script](args=[self._clock(), job_id, *args])

    # a job's way in

    def admit(self, job_id: str, *, owner: str, samples: int, limits: Limits) -> Admission:
        """Hold a job of so many samples against all limits at once; take its share of each, or of none.

        Raises LedgerFull before Redis is so full that accepted jobs could not go on.
        """
        self._memory.refuse_when_full()
        most = (
            limits.max_requests_per_minute,
            limits.max_active_jobs,
            limits.max_queued_samples,
            limits.max_samples_per_day,
        )
        verdict, *refusal = self._run("admit", job_id, owner, samples, RESERVATION_MS, *most)
        if not refusal:
            return Admission(Verdict(verdict))
        limit, left, wait_ms = refusal
        return Admission(Verdict(verdict), limit, max(0, int(left)), -(-int(wait_ms) // 1000))

    def withdraw(self, job_id: str, *, owner: str, samples: int) -> None:
        """Give back what `admit` took, unless another submit of the same job goes on."""
        self._run("withdraw", job_id, owner, samples)

    def create(
        self,
        job_id: str,
        *,
        owner: str,
        request: ResolvedRequest,
        created_at: datetime,
        stored: Iterable[int] = (),
        tags: Mapping[str, str] | None = None,
        priority: Priority = Priority.NORMAL,
        expires_at: datetime | None = None,
    ) -> Verdict:
        """CREATED or EXISTS. `stored` names shards that a rebuild found in storage."""
        what = (request.shards, request.count, request.model_dump_json(), _ms(created_at))
        told = (
            json.dumps(dict(tags)) if tags else "",
            _ms(expires_at) if expires_at else "",
            priority.rank,
        )
        return Verdict(self._run("create", job_id, owner, *what, _bitmap(stored), *told))

    # dispatch

    def due(self, limit: int) -> list[str]:
        """Up to `limit` jobs whose time has come, owners in turn."""
        return list(self._run("due", "", limit))

    def claim(self, job_id: str, *, window: int, room: int) -> Claim:
        """Lease up to `room` shards to the queue, with at most `window` of the job out at once."""
        leases = (self._queue_lease_ms, MAX_QUEUE_LEASE_MS, FINISHER_LEASE_MS)
        status, *numbers = self._run("claim", job_id, window, room, *leases)
        if status == Verdict.GONE:
            return Claim(None, [])
        total, *shards = map(int, numbers or ["0"])
        return Claim(Status(status), shards, total)

    # a shard's life

    def begin(self, job_id: str, shard: int, token: str) -> Begin:
        """OK with the request; or GONE, DONE, STOP, BUSY, FAIL. Counts the attempt."""
        verdict, *request = self._run(
            "begin", job_id, shard, token, self._lease_ms, self._max_attempts
        )
        if verdict != Verdict.OK:
            return Begin(Verdict(verdict))
        return Begin(Verdict.OK, ResolvedRequest.model_validate_json(request[0]))

    def choose(self, job_id: str, shard: int) -> Choice:
        """The shard to run for this message: it, or one of the same owner's that is more urgent and waits."""
        job, index, was_tried = self._run("choose", job_id, shard, self._queue_lease_ms)
        return Choice(job, int(index), was_tried == 1)

    def extend(self, job_id: str, shard: int, token: str) -> Verdict:
        """OK; STOP when the job no longer wants the shard; LOST when another worker holds it."""
        return Verdict(self._run("extend", job_id, shard, token, self._lease_ms))

    def release(
        self,
        job_id: str,
        shard: int,
        token: str,
        *,
        reason: str,
        retry_s: float | None,
        counts: bool = True,
    ) -> Verdict:
        """Give a shard back after a failed try; `retry_s` None fails the job, because no try can help.

        A try that does not count is one whose cause lay outside the shard.
        """
        again = "" if retry_s is None else int(retry_s * 1000)
        return Verdict(self._run("release", job_id, shard, token, reason[:500], again, int(counts)))

    def commit(self, job_id: str, shard: int, record: ShardRecord, *, reused: bool) -> Verdict:
        """OK, LAST (the caller finishes the job), DUP, STOP or GONE. The object is stored before this is called."""
        return Verdict(self._run("commit", job_id, shard, record.model_dump_json(), int(reused)))

    # a job's way out

    def cancel(self, job_id: str) -> Status | None:
        """The status after the call; None for a job the ledger does not know."""
        status = self._run("cancel", job_id)
        return None if status == Verdict.GONE else Status(status)

    def reopen(self, job_id: str, shards: Sequence[int]) -> None:
        """A finisher found holes: these shards are to be made again."""
        self._run("reopen", job_id, *shards)

    def resolve(
        self, job_id: str, status: Status, *, error: str | None, finished_at: datetime
    ) -> Verdict:
        """Follow the outcome that storage holds. CONFLICT means the ledger had told another one: a bug."""
        ended = (status, error or "", _ms(finished_at))
        return Verdict(self._run("resolve", job_id, *ended, self._ttl_ms))

    def forget(self, job_id: str) -> None:
        self._run("forget", job_id)

    # reading

    def read(self, job_id: str) -> Entry | None:
        """The job, or None when the ledger does not know it (which says nothing about storage)."""
        with answered():
            fields = self._redis.hgetall(f"lm:job:{job_id}")
            if "request" not in fields:
                return None
            request = ResolvedRequest.model_validate_json(fields["request"])
            last_done = bool(self._redis.getbit(f"lm:job:{job_id}:done", request.shards - 1))
        return entry_of(fields, request, last_done=last_done)

    def shard_is_done(self, job_id: str, shard: int) -> bool:
        with answered():
            return bool(self._redis.getbit(f"lm:job:{job_id}:done", shard))

    def records(self, job_id: str) -> dict[int, ShardRecord]:
        """What is known of the job's stored shards; a rebuilt ledger knows less than storage."""
        with answered():
            found = self._redis.hgetall(f"lm:job:{job_id}:records")
        return {
            int(shard): ShardRecord.model_validate_json(record) for shard, record in found.items()
        }

    # the fleet

    def heartbeat(self, worker: str, *, slots: int, info: str, ttl_s: float) -> None:
        self._run("heartbeat", worker, int(ttl_s * 1000), slots, info)

    def goodbye(self, worker: str) -> None:
        self._run("heartbeat", worker, 0, "", "")

    def live_slots(self) -> int:
        """Shards that all live workers can run at once."""
        return int(self._run("slots", "")[0])

    def live_workers(self) -> int:
        """Worker processes that take messages."""
        return int(self._run("slots", "")[1])

    def unfinished(self) -> set[str]:
        """Ids of the jobs of all owners that have not ended, as far as the ledger knows; in two round trips."""
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            for owner in self._redis.zrange("lm:owners", 0, -1):
                pipe.zrange(f"lm:due:{owner}", 0, -1)
            return {job for jobs in pipe.execute() for job in jobs}

    # loss of Redis

    def is_fresh(self) -> bool:
        """Whether this Redis has not been rebuilt from storage since it started or was emptied."""
        with answered():
            return bool(self._redis.get("lm:boot") != self._redis.info("server")["run_id"])

    def mark_rebuilt(self) -> None:
        with answered():
            self._redis.set("lm:boot", self._redis.info("server")["run_id"])


def _source(name: str) -> str:
    folder = files("service.adapters.lua")
    return (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _bitmap(shards: Iterable[int]) -> bytes:
    bits = bytearray()
    for shard in shards:
        byte = shard // 8
        bits.extend(bytes(max(0, byte + 1 - len(bits))))
        bits[byte] |= 0x80 >> shard % 8
    return bytes(bits)
