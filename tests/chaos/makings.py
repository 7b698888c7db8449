"""How often shards were made, from the workers' logs: what the faults cost."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Makings:
    """`wasted` are makings beyond the first of each shard and beyond one for each time it was damaged."""

    shards: int
    runs: int
    wasted: int

    @property
    def wasted_percent(self) -> float:
        return 100 * self.wasted / max(1, self.shards)


def count_makings(logs: Iterable[Path], damaged: list[str]) -> Makings:
    """Every making counts from its beginning, also one that a kill cut off."""
    runs = Counter(key for log in logs for key in _begun(log))
    hurt = Counter(damaged)
    wasted = sum(max(0, times - 1 - hurt[key]) for key, times in runs.items())
    return Makings(len(runs), runs.total(), wasted)


def _begun(log: Path) -> Iterable[str]:
    with log.open() as lines:
        for line in lines:
            # A line that a kill cut off is none.
            if '"shard_making"' in line and line.endswith("}\n"):
                yield json.loads(line)["key"]
