"""`python -m tests.bench.ledger`: what a shard costs Redis, with 100,000 outstanding over 1,000 jobs."""

import argparse
import json
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.lifecycle.dispatch import WINDOW_PER_SLOT
from tests.bench.ledger.bench import Bench
from tests.bench.ledger.ending import ending
from tests.bench.ledger.memory import memory
from tests.bench.ledger.meter import Costs
from tests.bench.ledger.population import Population
from tests.bench.ledger.transitions import dispatches, transitions
from tests.fixtures.redis import RedisServer

CALLS = 1280
BILLION = 1_000_000_000
#: What every shard does once. Its dispatch claims once for a job alone, twice where other jobs are due as well.
LIFE = ("push", "take, acknowledge", "choose", "begin", "extend", "note_work", "commit")
LIFE += ("slots", "queue length", "due", "claim")


def populations(jobs: int, shards: int) -> dict[str, Population]:
    """The one asked for, and others that differ from it in one thing each, to show what costs grow with."""
    window = -(-shards // jobs)
    slots = -(-window // WINDOW_PER_SLOT)
    asked = Population(jobs=jobs, owners=100, shards=2 * window, workers=slots)
    return {
        "asked": asked,
        "a tenth of the jobs": Population(max(1, jobs // 10), 100, 2 * window, slots),
        "one owner": Population(jobs, 1, 2 * window, slots),
        "an owner for each job": Population(jobs, jobs, 2 * window, slots),
        "1,000 workers": Population(max(1, jobs // 30), 100, 6000, 1000),
        "one job of a billion images": Population(1, 1, 61_036, 1000, 8),
    }


def per_shard_us(costs: Costs, population: Population) -> float:
    """Redis's processor time for one shard, in a crowd."""
    claims = 1 if population.jobs == 1 else 2
    return sum(costs[name].crowd_us * (claims if name == "claim" else 1) for name in LIFE)


def measured(jobs: int, shards: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server, objects = RedisServer(Path(folder)), Path(folder) / "objects"
        server.start()
        try:
            found: dict[str, Any] = {
                "machine": platform.processor() or platform.machine(),
                "populations": {},
            }
            asked = populations(jobs, shards)["asked"]
            kept = memory(Bench(server.url, objects, asked))
            found["memory"] = {name: round(value) for name, value in kept.items()}
            for name, population in populations(jobs, shards).items():
                bench = Bench(server.url, objects, population)
                costs = transitions(bench, calls=CALLS)
                whole = dispatches(bench, CALLS // 8, after=2 * CALLS)
                shard_us = per_shard_us(costs, population)
                found["populations"][name] = asdict(population) | {
                    "outstanding": population.jobs * population.outstanding,
                    "costs": {key: cost.model_dump() for key, cost in costs.items()},
                    "dispatch": whole.model_dump(),
                    "per_shard_us": round(shard_us, 1),
                    "shards_per_s": round(1e6 / shard_us),
                }
            bench = Bench(server.url, objects, asked)
            ends = [ending(bench, objects, count=BILLION, shard_size=n) for n in (16_384, 64_512)]
            found["ending"] = [end.model_dump() for end in ends]
        finally:
            server.kill()
    return found


def table(found: dict[str, Any]) -> str:
    """Every cost of the population asked for, then what each of the others makes of it."""
    populations = found["populations"]
    lines = [
        f"{'us':20s}{'p50':>8s}{'p99':>8s}{'alone':>8s}"
        + "".join(f"{n[:17]:>19s}" for n in populations)
    ]
    for name, cost in populations["asked"]["costs"].items():
        crowd = (f"{p['costs'][name]['crowd_us']:19.1f}" for p in populations.values())
        lines.append(
            f"{name:20s}{cost['p50_us']:8.0f}{cost['p99_us']:8.0f}{cost['alone_us']:8.1f}"
            + "".join(crowd)
        )
    for name in ("outstanding", "per_shard_us", "shards_per_s"):
        lines.append(f"{name:44s}" + "".join(f"{p[name]:19,.0f}" for p in populations.values()))
    whole = (f"{p['dispatch']['redis_us']:19.1f}" for p in populations.values())
    lines.append(f"{'dispatch, whole, one caller':44s}" + "".join(whole))
    lines += [f"bytes per {name}: {value:,}" for name, value in found["memory"].items()]
    return "\n".join(lines + [f"end of a job: {end}" for end in found["ending"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=100_000, help="outstanding in all")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    found = measured(asked.jobs, asked.shards)
    print(table(found))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
