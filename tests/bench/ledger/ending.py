"""The end of one very large job, for real: its records read, its shards listed, its manifest written.

The objects are empty files in a folder, because the finisher only lists them: what it writes comes from the ledger.
"""

import resource
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.contract import layout
from service.contract.manifest import ShardRecord
from service.contract.request import ResolvedRequest
from service.contract.shard import all_shards
from service.lifecycle.finish import finish
from service.lifecycle.parts import Parts
from tests.bench.ledger.bench import Bench
from tests.fixtures.ledger import CREATED_AT, record, resolved

JOB = "billion-images-0000"


class Ending(BaseModel):
    """`finish_s` includes reading the records, during which Redis answers nobody for `records_block_ms`.

    `memory_mb` is how far the process grew beyond its largest so far: it tells of the largest job only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int
    finish_s: float
    manifest_bytes: int
    records_bytes: int
    records_block_ms: float
    memory_mb: float
    rebuilt_claim_ms: float


def ending(bench: Bench, folder: Path, *, count: int, shard_size: int) -> Ending:
    """Commit every shard of a job of `count` images, then finish it."""
    bench.client.flushall()
    request = resolved(count, shard_size)
    _store(folder, request)
    before = bench.meter.memory_bytes()
    _commit(bench.parts, request)
    held = bench.meter.memory_bytes() - before
    blocked = bench.meter.read([lambda: bench.client.hgetall(f"lm:job:{JOB}:records")])
    level, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    finish(bench.parts, JOB)
    spent_s = time.perf_counter() - started
    return Ending(
        shards=request.shards,
        finish_s=round(spent_s, 2),
        manifest_bytes=len(bench.parts.storage.get(layout.job_manifest(JOB))),
        records_bytes=held,
        records_block_ms=round(blocked.redis_us / 1000, 1),
        memory_mb=round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - level) / 1024),
        rebuilt_claim_ms=round(_rebuilt_claim_ms(bench, request), 1),
    )


def _store(folder: Path, request: ResolvedRequest) -> None:
    digest = request.recipe.digest
    (folder / layout.recipe_prefix(digest)).mkdir(parents=True, exist_ok=True)
    for shard in all_shards(request.count, request.shard_size):
        (folder / layout.shard(digest, shard, request.format)).touch()


def _commit(parts: Parts, request: ResolvedRequest) -> None:
    made: ShardRecord = record(request.shard_size)
    parts.ledger.create(JOB, owner="owner", request=request, created_at=CREATED_AT)
    for index in range(request.shards):
        parts.ledger.commit(JOB, index, made, reused=False)


def _rebuilt_claim_ms(bench: Bench, request: ResolvedRequest) -> float:
    """The first claim of a job that was rebuilt with all but its last shard stored: it looks at every one."""
    bench.client.flushall()
    stored = range(request.shards - 1)
    bench.parts.ledger.create(
        JOB, owner="owner", request=request, created_at=CREATED_AT, stored=stored
    )
    claim = bench.meter.read([lambda: bench.parts.ledger.claim(JOB, window=9, room=9)])
    return claim.redis_us / 1000
