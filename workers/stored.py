"""Shards that storage holds already: trusted only after their bytes were read and hashed again."""

from collections.abc import Callable

import structlog

from service.adapters.storage import Storage, StoredObject
from service.contract import layout
from service.contract.errors import ObjectMissing
from service.contract.manifest import ShardRecord
from service.contract.value import sha256_hex

log = structlog.get_logger(__name__)


def adopt(
    storage: Storage, key: str, *, keep: Callable[[StoredObject], bool] = lambda _: True
) -> ShardRecord | None:
    """The record of an intact stored shard; None when there is none, or only a broken one, now copied aside.

    A broken one stays until it is written over: who deletes it may delete what another has mended since the look.

    `keep` sees to it that retention leaves the shard to whoever adopts it; False when that came too late.
    """
    try:
        head, data = storage.head(key), storage.get(key)
    except ObjectMissing:
        return None
    record = _record_or_none(head)
    if record is None or sha256_hex(data) != record.sha256:
        keep_copy(storage, key, data)
        return None
    return record if keep(head) else None


def _record_or_none(head: StoredObject) -> ShardRecord | None:
    try:
        return ShardRecord.from_metadata(head.metadata, size_bytes=head.size_bytes)
    except (KeyError, ValueError):
        return None


def keep_copy(storage: Storage, key: str, data: bytes) -> None:
    """Keep the broken bytes for a person to look at."""
    storage.put(layout.quarantined(key, sha256_hex(data)), data)
    log.error("shard_quarantined", key=key, sha256=sha256_hex(data))


def put_aside(storage: Storage, key: str, data: bytes) -> None:
    """Keep a copy, and free the key."""
    keep_copy(storage, key, data)
    # Another worker may have put the same bytes aside and written the shard anew meanwhile.
    if _still_holds(storage, key, data):
        storage.delete(key)


def _still_holds(storage: Storage, key: str, data: bytes) -> bool:
    try:
        return storage.get(key) == data
    except ObjectMissing:
        return False
