"""Ledgers full of work: so many jobs, owners, shards and workers, with a window of each job outstanding."""

import uuid
from dataclasses import dataclass

from service.adapters.ledger import Ledger
from service.contract.request import ResolvedRequest
from service.lifecycle.dispatch import MIN_WINDOW, WINDOW_PER_SLOT
from tests.fixtures.ledger import CREATED_AT, resolved

SHARD_SIZE = 16_384
#: What a worker tells of itself (`profile_of`), for its length.
INFO = '{"onnxruntime": "1.32.0", "provider": "CUDAExecutionProvider", "device": "NVIDIA H200"}'


@dataclass(frozen=True)
class Population:
    """Jobs of `shards` each, of which a window, as dispatch would have it, is leased to the queue."""

    jobs: int
    owners: int
    shards: int
    workers: int
    slots: int = 1

    @property
    def outstanding(self) -> int:
        """Shards of each job that are out."""
        return min(self.shards, max(MIN_WINDOW, WINDOW_PER_SLOT * self.workers * self.slots))

    @property
    def request(self) -> ResolvedRequest:
        return resolved(self.shards * SHARD_SIZE, SHARD_SIZE)


def job_ids(population: Population) -> list[str]:
    """As the API makes them: 32 hexadecimal digits, the same in each run."""
    return [uuid.UUID(int=number, version=4).hex for number in range(population.jobs)]


def create(ledger: Ledger, population: Population, number: int, job: str) -> None:
    owner = f"owner-{number % population.owners:05d}"
    ledger.create(job, owner=owner, request=population.request, created_at=CREATED_AT)


def beat(ledger: Ledger, population: Population, worker: int) -> None:
    name = f"gpu-{worker:04d}.cluster.example-12345"
    # Believed as long as the run: the bench beats once, not every two seconds.
    ledger.heartbeat(name, slots=population.slots, info=INFO, ttl_s=3600)
