"""The fleet as Redis knows it: who works, how fast, and what is left to be made. Nothing is decided by it."""

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import redis

from service.adapters.redis_client import answered
from service.contract.fleet import Worker
from service.contract.request import ResolvedRequest

#: Samples made are counted by spans of so many seconds of the server's clock, and told over as many spans.
SPAN_S, SPANS = 10, 6
#: Samples of a kind, and milliseconds without a new one, after which the oldest are forgotten.
REMEMBERED, REMEMBERED_MS = 2**19, 30 * 86_400_000


class Unfinished(NamedTuple):
    """One job that has not ended, as far as the ledger knows."""

    job_id: str
    owner: str
    request: ResolvedRequest
    samples_left: int
    created_ms: int
    rank: int


class Work(NamedTuple):
    """What all workers made of one kind lately: samples, bytes of archives, and the time that took one core."""

    samples: int = 0
    bytes: int = 0
    busy_ms: int = 0


class Fleet:
    """Every method raises LedgerUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, run: Callable[..., Any]) -> None:
        self._redis: Any = client
        self._run = run

    def workers(self) -> list[Worker]:
        """Workers that are believed alive, by name."""
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore("lm:workers", 1000 * self._now_s(), "+inf")
            pipe.hgetall("lm:workers:slots")
            pipe.hgetall("lm:workers:info")
            names, slots, infos = pipe.execute()
        return [
            _worker(name, slots.get(name, "0"), infos.get(name, "{}")) for name in sorted(names)
        ]

    def cores(self) -> int:
        """Shards that all live workers make at once."""
        return sum(worker.cores for worker in self.workers())

    def note_work(
        self, kinds: Collection[str], *, samples: int, size_bytes: int, busy_ms: int
    ) -> None:
        """Add one made shard to what speeds and sizes are computed from, under each of its kinds."""
        kept = (1000 * SPAN_S, SPANS, REMEMBERED, REMEMBERED_MS)
        self._run("work_note", "", samples, size_bytes, busy_ms, *kept, *kinds)

    def work(self, kind: str) -> Work:
        """What was made of a kind lately."""
        return self.works([kind])[0]

    def works(self, kinds: Collection[str]) -> list[Work]:
        """The same of several, in one round trip."""
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            for kind in kinds:
                pipe.hgetall(f"lm:work:{kind}")
            found = pipe.execute()
        return [Work(**{field: int(of[field]) for field in of}) for of in found]

    def counts(self) -> dict[str, int]:
        """What was done since this Redis began, by name; each only grows."""
        with answered():
            return {name: int(n) for name, n in self._redis.hgetall("lm:counts").items()}

    def samples_per_s(self) -> float:
        """Over the last whole spans: a minute."""
        with answered():
            now = self._now_s() // SPAN_S
            with self._redis.pipeline(transaction=False) as pipe:
                for back in range(1, SPANS + 1):
                    pipe.get(f"lm:made:{now - back}")
                made = pipe.execute()
        return sum(int(samples or 0) for samples in made) / (SPAN_S * SPANS)

    def unfinished(self) -> Iterator[Unfinished]:
        """Jobs of all owners that wait or run, an owner after the other."""
        with answered():
            owners = self._redis.zrange("lm:owners", 0, -1)
        for owner in owners:
            yield from self._of(owner)

    def _of(self, owner: str) -> Iterator[Unfinished]:
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            job_ids = self._redis.zrange(f"lm:due:{owner}", 0, -1)
            for job_id in job_ids:
                pipe.hmget(f"lm:job:{job_id}", "request", "done", "created_ms", "rank")
            found = pipe.execute()
        for job_id, (request, done, created_ms, rank) in zip(job_ids, found, strict=True):
            # A job that ended between the two looks.
            if request is not None:
                body = ResolvedRequest.model_validate_json(request)
                left = max(0, body.count - int(done) * body.shard_size)
                yield Unfinished(job_id, owner, body, left, int(created_ms), int(rank or 0))

    def _now_s(self) -> int:
        """Of the server's clock: workers' own clocks may differ."""
        return int(self._redis.time()[0])


def _worker(name: str, slots: str, info: str) -> Worker:
    # One of a later version may tell more.
    told = {
        field: value for field, value in json.loads(info).items() if field in Worker.model_fields
    }
    # One of an earlier version does not tell its cores.
    return Worker(name=name, slots=int(slots), **({"cores": int(slots)} | told))
