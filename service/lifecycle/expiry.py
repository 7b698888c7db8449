"""Expiry: takes away shards that no job has used for long, beside jobs that may want one at that very moment.

No store deletes on condition that nobody touched the object. So a job that uses an old shard says so first (`uses/`),
then looks whether the shard is there, then ends; and whoever deletes looks for such marks before and after. A mark that
came in between means that a job may have ended on a shard that is gone: it is made again by a repair.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice

import structlog

from service.adapters.storage import Storage, StoredObject
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.lifecycle.repair import owe_repair
from service.lifecycle.unfinished import Unfinished

log = structlog.get_logger(__name__)

#: Deletions at once, and how many of them rest on one look at the unfinished jobs.
_AT_ONCE, _AT_A_LOOK = 16, 256

#: When the newest job of each length used the recipe, by its count of samples.
Marks = dict[int, StoredObject]


class Expiry:
    """Iterating deletes, and tells the size of each shard that went. A rehearsal (`dry_run`) deletes nothing."""

    def __init__(self, storage: Storage, *, before: datetime, dry_run: bool) -> None:
        self._storage, self._before, self._dry_run = storage, before, dry_run
        self._unfinished = Unfinished(storage)

    def __iter__(self) -> Iterator[int]:
        old = (s for s in self._storage.list(layout.SHARDS) if s.modified_at < self._before)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="prune") as pool:
            while some := list(islice(old, _AT_A_LOOK)):
                self._unfinished.look()
                went = pool.map(self._expire, some)
                yield from (
                    shard.size_bytes for shard, is_gone in zip(some, went, strict=True) if is_gone
                )

    def _expire(self, shard: StoredObject) -> bool:
        """Whether the shard was not wanted and is gone now."""
        recipe, stop = layout.recipe_of_shard(shard.key), layout.stop_of_shard(shard.key)
        if stop is None:
            return False  # No worker of ours wrote it.
        marks = self._marks(recipe, stop)
        is_used = any(mark.modified_at >= self._before for mark in marks.values())
        if is_used or self._unfinished.wants(recipe, stop):
            return False
        return self._dry_run or self._deleted(shard, recipe, stop, marks)

    def _deleted(self, shard: StoredObject, recipe: str, stop: int, marks: Marks) -> bool:
        try:
            # A listing may be old; a shard made young since then is wanted.
            if self._storage.head(shard.key).modified_at >= self._before:
                return False
        except ObjectMissing:
            return False
        self._storage.delete(shard.key)
        for count, mark in self._marks(recipe, stop).items():
            if count not in marks or mark.modified_at != marks[count].modified_at:
                self._make_again(mark)
        return True

    def _marks(self, recipe: str, stop: int) -> Marks:
        """Uses by jobs that reach as far as the shard."""
        found = {
            layout.count_of_use(m.key): m for m in self._storage.list(layout.uses_prefix(recipe))
        }
        return {count: mark for count, mark in found.items() if count >= stop}

    def _make_again(self, mark: StoredObject) -> None:
        job_id = self._storage.get(mark.key).decode()
        log.warning("expired_shard_was_wanted", job=job_id)
        owe_repair(self._storage, job_id, asked_at=mark.modified_at)
