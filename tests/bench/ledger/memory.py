"""What Redis keeps, in bytes: of a job, of a shard that is out, of one that runs, of one that is stored."""

from tests.bench.ledger.bench import Bench
from tests.bench.ledger.population import create
from tests.fixtures.ledger import record

#: Enough that what a table reserves ahead does not show.
SHARDS = 20_000


def memory(bench: Bench) -> dict[str, float]:
    """Bytes of Redis per thing. Fills an emptied server with the population, then runs 20,000 of its shards."""
    bench.client.flushall()
    ledger, out = bench.parts.ledger, bench.population.outstanding
    levels = [bench.meter.memory_bytes()]
    for number, job in enumerate(bench.jobs):
        create(ledger, bench.population, number, job)
    levels.append(bench.meter.memory_bytes())
    for job in bench.jobs:
        ledger.claim(job, window=out, room=out)
    levels.append(bench.meter.memory_bytes())
    for job, shard in bench.drawn(SHARDS):
        ledger.commit(job, shard, record(16_384), reused=False)
    levels.append(bench.meter.memory_bytes())
    sent = bench.drawn(SHARDS)[:2000]
    for job, shard in sent:
        bench.parts.queue.send_shard(job, shard, small=False)
    levels.append(bench.meter.memory_bytes())
    outstanding = (levels[2] - levels[1]) / (len(bench.jobs) * out)
    return {
        "job": (levels[1] - levels[0]) / len(bench.jobs),
        "outstanding shard": outstanding,
        # What it was out with is given back when it is stored.
        "stored shard": (levels[3] - levels[2]) / min(SHARDS, len(bench.jobs) * out) + outstanding,
        "message": (levels[4] - levels[3]) / len(sent),
    }
