"""The rest of the fleet, in this process: a sweep and a worker that live on, an hour later."""

import base64
import json
import time
from typing import Any

import redis

from service.adapters.ledger import Ledger
from service.adapters.queue import BULK, RUN_SHARD, SMALL, ShardQueue, celery_app
from service.adapters.storage import Storage
from service.contract import layout
from service.contract.job import Job, Outcome, Status
from service.contract.manifest import Manifest
from service.contract.settings import Settings
from service.contract.shard import all_shards
from service.contract.value import sha256_hex
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS
from tests.fixtures.parts import new_studio
from tests.fixtures.undisturbed import undisturbed
from workers.shard import run_shard
from workers.sweep import Sweep

#: More than any lease, and twice that at the second look.
LATER_S = 3600.0


class Survivor:
    """Sweeps and runs what is queued, until nothing is left to do."""

    def __init__(self, redis_url: str, storage: Storage) -> None:
        settings = Settings(redis_url=redis_url)  # type: ignore[arg-type] # given as text
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self._later_s = 0.0
        ledger = Ledger(self.redis, max_attempts=3, clock=self._clock_ms)
        queue = ShardQueue(celery_app(settings), self.redis)
        self.parts = Parts(storage, ledger, queue)
        self._studio = new_studio(self.parts)
        self._sweep = Sweep(self.parts, rebuild_interval_s=0)
        self.runs: list[tuple[str, int]] = []

    def _clock_ms(self) -> int:
        return int((time.time() + self._later_s) * 1000)

    def live_on(self, job_id: str, *, turns: int = 5) -> Job:
        """The job after so many turns, or as soon as it has ended."""
        for _ in range(turns):
            self.take_turn()
            job = describe(self.parts, job_id, owner=ANONYMOUS)
            if job.status.is_terminal:
                # A sweep of later finds nothing to do.
                self._sweep.turn()
                return job
        return job

    def take_turn(self) -> None:
        self._later_s += LATER_S
        self._sweep.turn()
        self._run_queued()

    def _run_queued(self) -> None:
        while message := self.redis.rpop(SMALL) or self.redis.rpop(BULK):
            told: dict[str, Any] = json.loads(str(message))
            assert told["headers"]["task"] == RUN_SHARD
            kwargs = json.loads(base64.b64decode(told["body"]))[1]
            self.runs.append((kwargs["job_id"], kwargs["shard"]))
            run_shard(self._studio, kwargs["job_id"], kwargs["shard"])

    def is_whole(self, job: Job) -> None:
        """Raises AssertionError unless the job ended once, completely, and left nothing behind."""
        outcome = Outcome.model_validate_json(self._get(layout.job_outcome(job.id)))
        assert (outcome.status, outcome.progress) == (job.status, job.progress)
        assert self._keys(layout.ACTIVE) == []
        assert len([key for key in self._keys("log/") if key.endswith(job.id)]) == 1
        assert self.parts.ledger.unfinished() == set()
        assert self.redis.bitcount(f"lm:job:{job.id}:done") == job.progress.shards_done
        for kind in ("leases", "holders", "sent", "attempts"):
            assert not self.redis.exists(f"lm:job:{job.id}:{kind}")
        if job.status == Status.COMPLETED:
            self._has_right_shards(job)

    def _has_right_shards(self, job: Job) -> None:
        request = job.request
        assert request is not None
        manifest = Manifest.model_validate_json(self._get(layout.job_manifest(job.id)))
        shards = all_shards(request.count, request.shard_size)
        keys = [layout.shard_of(request.recipe, shard) for shard in shards]
        assert [shard.key for shard in manifest.shards] == keys == self._keys("shards/")
        stored = [sha256_hex(self._get(key)) for key in keys]
        assert [shard.sha256 for shard in manifest.shards] == stored == undisturbed(request)

    def _get(self, key: str) -> bytes:
        return self.parts.storage.get(key)

    def _keys(self, prefix: str) -> list[str]:
        return [entry.key for entry in self.parts.storage.list(prefix)]
