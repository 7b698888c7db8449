"""What happens to Redis, to storage and to the queue, whoever acts."""

import random

from tests.model.faults import Faults
from tests.model.judge import Judge
from tests.model.post import Post
from tests.model.stage import Stage
from tests.model.store import MemoryStorage
from tests.model.wire import Wire


class Weather:
    def __init__(
        self,
        stage: Stage,
        faults: Faults,
        store: MemoryStorage,
        wire: Wire,
        post: Post,
        judge: Judge,
        rng: random.Random,
    ) -> None:
        self._stage, self._faults, self._store, self._rng = stage, faults, store, rng
        self._wire, self._post, self._judge = wire, post, judge

    def changes(self) -> None:
        """What strikes at this step."""
        for fault, happens in (
            ("snapshot", self._wire.snapshot),
            ("flushall", self._flush),
            ("rollback", self._roll_back),
            ("redis_away", self._take_redis_away),
            ("storage_away", self._take_storage_away),
            ("queue_lost", self._post.messages.clear),
            ("redelivered", self._post.restore),
            ("forgotten", self._forget_ended),
            ("vanished", self._lose_shard),
            ("damaged", self._damage_shard),
        ):
            if self._faults.strikes(fault):
                happens()

    def _flush(self) -> None:
        self._stage.tell("FLUSHALL")
        self._wire.flushall()
        self._judge.lost_redis()

    def _roll_back(self) -> None:
        self._stage.tell("Redis restarts with an older state")
        self._wire.rollback()
        self._judge.lost_redis()

    def _take_redis_away(self) -> None:
        self._faults.take_redis_away(self._stage.now_ms + self._rng.randint(500, 30_000))

    def _take_storage_away(self) -> None:
        self._faults.take_storage_away(self._stage.now_ms + self._rng.randint(500, 60_000))

    def _forget_ended(self) -> None:
        """The keys of ended jobs reach their age."""
        for job_id in self._judge.ended:
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        key = f"lm:job:{job_id}"
        if self._wire.server.hget(key, "status") in (b"completed", b"failed", b"cancelled"):
            self._wire.server.delete(key, f"{key}:done")

    def _lose_shard(self) -> None:
        key = self._any_shard()
        if key is not None:
            self._stage.tell(f"somebody deletes {key}")
            self._judge.hurt(key, is_gone=True)
            del self._store.objects[key]

    def _damage_shard(self) -> None:
        key = self._any_shard()
        if key is not None:
            self._stage.tell(f"somebody damages {key}")
            self._judge.hurt(key, is_gone=False)
            data, *rest = self._store.objects[key]
            self._store.objects[key] = (data[:-1] + b"?", *rest)

    def _any_shard(self) -> str | None:
        shards = sorted(key for key in self._store.objects if key.startswith("shards/"))
        return self._rng.choice(shards) if shards else None
