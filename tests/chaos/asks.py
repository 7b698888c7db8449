"""What clients ask for at random, and what each of them was told."""

import random
from dataclasses import dataclass, field
from typing import Any

from service.contract.job import Status
from service.contract.recipe import Compression, Format

#: Most jobs are small, as in life; the largest have a hundred shards.
_COUNTS = ((1, 1), (2, 1000), (1024, 5000), (5000, 30_000), (100_000, 100_000))
_COUNT_WEIGHTS = (30, 25, 25, 15, 5)
_SHARED_SEEDS = 5
#: `small` takes ten times as long, here and in the reckoning, which makes every shard once more.
_COMPRESSIONS = {Compression.FAST: 60, Compression.NONE: 25, Compression.SMALL: 15}


@dataclass
class Ask:
    """One wish for a job, however often it was sent. `key` None: sent once, and its answer may be lost.

    `turned_away` counts answers that say that nothing was accepted.
    """

    body: dict[str, Any]
    way: str
    key: str | None = None
    ids: set[str] = field(default_factory=set)
    unanswered: int = 0
    turned_away: int = 0
    refused: list[str] = field(default_factory=list)
    cancel_told: str | None = None
    seen: list[Status] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str | None:
        return next(iter(self.ids), None)

    @property
    def has_ended(self) -> bool:
        return bool(self.seen) and self.seen[-1].is_terminal

    def note(self, status: Status) -> None:
        """A client looked. What it sees of an ended job must be what it saw before."""
        if self.has_ended and status != self.seen[-1]:
            self.oddities.append(f"was {self.seen[-1]}, then {status}")
        if not self.seen or status != self.seen[-1]:
            self.seen.append(status)


def random_body(chance: random.Random) -> dict[str, Any]:
    """A good request; some share their recipe with others."""
    low, high = chance.choices(_COUNTS, _COUNT_WEIGHTS)[0]
    body = {
        "decoder": chance.choice(("tiny", "tiny", "large")),
        "label": chance.randrange(10),
        "count": chance.randint(low, high),
        "seed": chance.randrange(2**40),
        "format": str(chance.choice(list(Format))),
        "compression": str(chance.choices(list(_COMPRESSIONS), list(_COMPRESSIONS.values()))[0]),
    }
    if chance.random() < 0.8:
        body["shard_size"] = 1024
    if chance.random() < 0.3:
        shared = chance.randrange(_SHARED_SEEDS)
        body |= {"label": 3, "seed": shared, "format": "zip", "compression": "fast"}
    return body
