"""How often shards were made, from the workers' logs: what the faults cost."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Makings:
    """`wasted` are makings beyond the first of each shard and beyond one for each time it was damaged.

    What a client's cancel cut off is nobody's waste.
    """

    shards: int
    runs: int
    wasted: int

    @property
    def wasted_percent(self) -> float:
        return 100 * self.wasted / max(1, self.shards)


def count_makings(logs: Iterable[Path], damaged: list[str], cancelled: Collection[str]) -> Makings:
    """Every making counts from its beginning, also one that a kill cut off.

    `damaged` are keys of shards, `cancelled` ids of jobs.
    """
    runs = Counter(key for log in logs for key in _begun(log, cancelled))
    hurt = Counter(damaged)
    wasted = sum(max(0, times - 1 - hurt[key]) for key, times in runs.items())
    return Makings(len(runs), runs.total(), wasted)


def _begun(log: Path, cancelled: Collection[str]) -> list[str]:
    """Keys of the shards that a worker began, but for those that it dropped because of a cancel."""
    begun, dropped = [], set()
    for event in _events(log):
        if event["event"] == "shard_making":
            begun.append((event["job"], event["shard"], event["key"]))
        elif event["event"] == "shard_dropped" and event["job"] in cancelled:
            dropped.add((event["job"], event["shard"]))
    return [key for job, shard, key in begun if (job, shard) not in dropped]


def _events(log: Path) -> Iterator[dict[str, Any]]:
    with log.open() as lines:
        for line in lines:
            # A line that a kill cut off is none.
            if '"shard_' in line and line.endswith("}\n"):
                yield json.loads(line)
