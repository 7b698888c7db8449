"""Expiry: takes away shards that no job has used for long, beside jobs that may want one at that very moment.

No store deletes on condition that nobody touched the object. So a job that uses an old shard says so first (`uses/`),
then looks whether the shard is there, then ends; and whoever deletes looks for such marks before and after. A mark that
came in between means that a job may have ended on a shard that is gone: it is made again by a repair.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
_THREADS = "prune"

#: When the newest job of each length used the recipe, by its count of samples.
Marks = dict[int, StoredObject]


class Expiry:
    """Deletes what is older, in a rehearsal (`dry_run`) nothing. `on_gone` is told the size of each shard that went.

    It is called at once, by the thread that deleted: whoever interrupts a run still knows all that it did.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        before: datetime,
        dry_run: bool,
        on_gone: Callable[[int], object],
    ) -> None:
        self._storage, self._before, self._dry_run = storage, before, dry_run
        self._on_gone, self._unfinished = on_gone, Unfinished(storage)

    def run(self) -> None:
        """Raises StorageUnavailable, and what `on_gone` raises."""
        old = (s for s in self._storage.list(layout.SHARDS) if s.modified_at < self._before)
        with _ended_wholly(), ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=_THREADS) as pool:
            while some := list(islice(old, _AT_A_LOOK)):
                self._unfinished.look()
                for _ in pool.map(self._expire, some):
                    pass  # What a thread raised is raised here, and calls off those not begun.

    def _expire(self, shard: StoredObject) -> None:
        if self._is_unwanted_and_gone(shard):
            self._on_gone(shard.size_bytes)

    def _is_unwanted_and_gone(self, shard: StoredObject) -> bool:
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


@contextmanager
def _ended_wholly() -> Iterator[None]:
    """A Ctrl-C while a pool starts a thread leaves one that the pool does not know: nothing deletes after the block."""
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if thread.name.startswith(f"{_THREADS}_"):
                thread.join()
