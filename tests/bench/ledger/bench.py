"""A full ledger on an emptied server, with the real queue and dispatch beside it."""

import random
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import redis

from service.adapters.ledger import Ledger
from service.adapters.queue import ShardQueue, celery_app
from service.adapters.storage_folder import FolderStorage
from service.contract.settings import Settings
from service.lifecycle.parts import Parts
from tests.bench.ledger.meter import Meter
from tests.bench.ledger.population import Population, job_ids


@dataclass(frozen=True)
class Caller:
    """Who asks: the parts, and the client that they ask through."""

    client: redis.Redis
    parts: Parts


class Bench:
    """One population, not yet created: creating it is measured too."""

    def __init__(self, url: str, folder: Path, population: Population) -> None:
        self.url, self.population, self.jobs = url, population, job_ids(population)
        self.app = celery_app(Settings(redis_url=url))
        self._storage = FolderStorage(folder)
        self.caller = self.caller_by(redis.Redis.from_url(url, decode_responses=True))
        self.client, self.parts = self.caller.client, self.caller.parts
        self.meter = Meter(self.client)
        self.client.flushall()

    def caller_by(self, client: redis.Redis) -> Caller:
        # Leases as long as the run, so that nothing is sent twice while it is measured.
        ledger = Ledger(client, lease_s=3600, queue_lease_s=3600)
        return Caller(client, Parts(self._storage, ledger, ShardQueue(self.app, client)))

    def drawn(self, calls: int) -> list[tuple[str, int]]:
        """Outstanding shards of all jobs, without repetition, the same in each run."""
        every = list(product(self.jobs, range(self.population.outstanding)))
        return random.Random(1).sample(every, min(calls, len(every)))
