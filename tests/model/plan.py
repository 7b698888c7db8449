"""What clients ask for in one run: a few jobs, some of one recipe, some that cannot succeed."""

import random
from dataclasses import dataclass, field
from typing import Any

#: Seeds of requests whose shards kill their worker, do not fit into memory, or whose decoder is refused.
POISON, LARGE, HOPELESS = 666, 507, 404
#: Shards of a job that is listed and not asked for one by one; see `FEW_SHARDS`.
MANY = 18


@dataclass(frozen=True)
class Asked:
    """One job as its client wants it. `by_task`: a foreign Celery producer asks, by a message."""

    job_id: str
    owner: str
    body: dict[str, Any] = field(compare=False, hash=False)
    by_task: bool
    cancels: bool

    @property
    def seed(self) -> int:
        return int(self.body["seed"])

    @property
    def can_succeed(self) -> bool:
        return self.seed not in (POISON, LARGE, HOPELESS)


@dataclass(frozen=True)
class Plan:
    jobs: tuple[Asked, ...]
    workers: int
    most_active: int


def draw_plan(rng: random.Random) -> Plan:
    jobs = tuple(_asked(rng, number) for number in range(rng.randint(2, 4)))
    return Plan(jobs, workers=rng.randint(1, 3), most_active=rng.choice([2, 100, 100, 100]))


def _asked(rng: random.Random, number: int) -> Asked:
    shards = MANY if rng.random() < 0.03 else rng.choice([1, 1, 2, 3, 4, 6])
    body = {
        "decoder": "tiny",
        "label": 3,
        "count": shards * 1024 - rng.choice([0, 0, 100]),
        "seed": rng.choice([1] * 8 + [2] * 6 + [POISON, LARGE, HOPELESS]),
        "shard_size": 1024,
        "priority": rng.choice(["interactive", "normal", "normal", "bulk"]),
    }
    by_task = rng.random() < 0.2
    owner = "anonymous" if by_task else rng.choice(["ann", "bob"])
    return Asked(f"job-{number:05d}", owner, body, by_task, cancels=rng.random() < 0.25)
