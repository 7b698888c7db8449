"""Retention: how the shards that jobs use stay young, and how the time of their last use is known.

A shard's age counts from the newest outcome that uses it. Nearly always that is the moment it was written; a job that
used an older one leaves a mark, before its outcome. Shards past half the retention are refreshed too: a lifecycle rule
of the bucket knows only when an object was written.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog

from service.adapters.storage import Storage, StoredObject
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.request import ResolvedRequest
from service.lifecycle.parts import Parts

log = structlog.get_logger(__name__)

#: A shard younger than this needs no mark: its own age tells its last use closely enough.
UNMARKED = timedelta(hours=1)
#: Copies of one job at once: an object store answers each in tens of milliseconds.
_AT_ONCE = 16


def is_old(parts: Parts, shards: Iterable[StoredObject]) -> bool:
    """Whether the age of some shard says too little about its last use."""
    return any(shard.modified_at < parts.clock() - UNMARKED for shard in shards)


def mark_use(parts: Parts, job_id: str, request: ResolvedRequest) -> None:
    """Say that shards of this recipe are used now; whoever deletes one looks here before and after."""
    parts.storage.put(layout.use(request.recipe.digest, request.count), job_id.encode())


def refresh_old(parts: Parts, shards: Mapping[int, StoredObject]) -> set[int]:
    """Make shards past half the retention young again; the indexes of those that are gone."""
    before = _half_ago(parts)
    old = {i: shard.key for i, shard in shards.items() if before and shard.modified_at < before}
    if not old:
        return set()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="refresh") as pool:
        stand = pool.map(lambda key: _refreshed(parts.storage, key), old.values())
        gone = {index for index, stands in zip(old, stand, strict=True) if not stands}
    log.info("shards_refreshed", shards=len(old) - len(gone), gone=len(gone))
    return gone


def keep_young(parts: Parts, job_id: str, request: ResolvedRequest, shard: StoredObject) -> bool:
    """Refresh a shard that the job reuses past half the retention; False when it is gone."""
    before = _half_ago(parts)
    if before is None or shard.modified_at >= before:
        return True
    # The finisher will find a young shard and leave no mark.
    mark_use(parts, job_id, request)
    return _refreshed(parts.storage, shard.key)


def _half_ago(parts: Parts) -> datetime | None:
    return None if parts.retention is None else parts.clock() - parts.retention / 2


def _refreshed(storage: Storage, key: str) -> bool:
    try:
        storage.refresh(key)
    except ObjectMissing:
        return False
    return True
