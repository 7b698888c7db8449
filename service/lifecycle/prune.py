"""Prune: removes shards that no job has used for long, and what killed processes left. Works on storage alone.

Every removal stands for itself, so a prune may be killed at any point and run beside workers, jobs and other prunes.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from threading import Lock

from service.adapters.storage import Storage, StoredObject, exists
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.lifecycle.expiry import Expiry
from service.lifecycle.remains import MARKER_MAX_AGE, forgotten_records


class Kind(StrEnum):
    """What a prune removes, in the words of its report."""

    SHARD = "expired shards"
    QUARANTINED = "quarantined objects"
    RECORD = "records of jobs that were half forgotten or never accepted"
    MARKER = "markers that mark nothing"
    LEFTOVER = "unfinished writes"


@dataclass
class Pruned:
    """What was removed, or in a rehearsal would be."""

    objects: Counter[Kind] = field(default_factory=Counter)
    size_bytes: Counter[Kind] = field(default_factory=Counter)

    def add(self, kind: Kind, size_bytes: int) -> None:
        self.objects[kind] += 1
        self.size_bytes[kind] += size_bytes


def prune(
    storage: Storage,
    *,
    now: datetime,
    older_than: timedelta | None,
    dry_run: bool = False,
    pruned: Pruned | None = None,
    on_removed: Callable[[Pruned], object] = lambda _: None,
) -> Pruned:
    """Remove what is older than that, or only what is abandoned when `older_than` is None. Memory stays constant.

    `now` is the store's time, see `time_of`. Raises StorageUnavailable; what was removed until then is gone, and told
    in `pruned` if one was given.
    """
    pruned, told = pruned or Pruned(), Lock()

    def tell(kind: Kind, size_bytes: int) -> None:
        with told:
            pruned.add(kind, size_bytes)
            on_removed(pruned)

    for size in forgotten_records(storage, now=now, dry_run=dry_run):
        tell(Kind.RECORD, size)
    for marker in _markers_of_nothing(storage, now):
        tell(Kind.MARKER, _deleted(storage, marker, dry_run=dry_run))
    if older_than is not None:
        _expire(storage, now - older_than, tell, dry_run=dry_run)
    for leftover in storage.leftovers(now=now):
        if not dry_run:
            leftover.remove()
        tell(Kind.LEFTOVER, leftover.size_bytes)
    return pruned


def time_of(storage: Storage) -> datetime:
    """The store's own time: a wrong clock of this machine must not make everything look old."""
    key = layout.probe(secrets.token_hex(16))
    storage.put(key, b"")
    try:
        return storage.head(key).modified_at
    finally:
        storage.delete(key)


def _markers_of_nothing(storage: Storage, now: datetime) -> Iterator[StoredObject]:
    # A submit writes the request before the marker, so this is none in progress.
    for marker in _older(storage, layout.ACTIVE, now - MARKER_MAX_AGE):
        if not exists(storage, layout.job_request(marker.key.removeprefix(layout.ACTIVE))):
            yield marker


def _expire(
    storage: Storage, before: datetime, tell: Callable[[Kind, int], None], *, dry_run: bool
) -> None:
    Expiry(storage, before=before, dry_run=dry_run, on_gone=partial(tell, Kind.SHARD)).run()
    for aside in _older(storage, layout.QUARANTINE, before):
        tell(Kind.QUARANTINED, _deleted(storage, aside, dry_run=dry_run))
    for mark in _older(storage, layout.USES, before):
        tell(Kind.MARKER, _deleted(storage, mark, dry_run=dry_run))


def _older(storage: Storage, prefix: str, before: datetime) -> Iterator[StoredObject]:
    return (found for found in storage.list(prefix) if found.modified_at < before)


def _deleted(storage: Storage, found: StoredObject, *, dry_run: bool) -> int:
    if not dry_run and _is_still(storage, found):
        storage.delete(found.key)
    return found.size_bytes


def _is_still(storage: Storage, listed: StoredObject) -> bool:
    """Whether nobody wrote the object anew since it was listed."""
    try:
        return storage.head(listed.key).modified_at == listed.modified_at
    except ObjectMissing:
        return False
