"""The proof that of all who create one key, one wins: all that is decided once rests on it."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.errors import ObjectExists, StartRefused


def require_conditional_create(storage: Storage) -> None:
    """Let 16 writers race for a scratch key. Raises StartRefused unless exactly one wins.

    Writers that come one after the other would not do: some stores refuse those and let these race.
    Not for a store whose user has set `storage_conditional` to off.
    """
    winners = race_writers(storage)
    if winners != 1:
        raise StartRefused(
            f"{winners} of 16 racing writers created one and the same object, so two workers could "
            "decide a job's outcome differently. Use a store with atomic conditional writes "
            "(If-None-Match), or set LATENTMILL_STORAGE_CONDITIONAL=off: outcomes then rest on "
            "Redis alone, and a Redis that loses data can turn a cancelled job into a completed one"
        )


def race_writers(storage: Storage, writers: int = 16) -> int:
    """How many writers the store lets create one key; removes it. Raises StorageUnavailable."""
    key, start = layout.probe(secrets.token_hex(16)), Barrier(writers)
    with ThreadPoolExecutor(writers) as pool:
        # Connects everybody first, or the handshakes would put the writers in a row.
        list(pool.map(lambda _: storage.check(), range(writers)))
        wins = [pool.submit(_race, storage, key, start) for _ in range(writers)]
    try:
        return sum(win.result() for win in wins)
    finally:
        storage.delete(key)


def _race(storage: Storage, key: str, start: Barrier) -> bool:
    start.wait()
    try:
        storage.create(key, secrets.token_bytes(16))
    except ObjectExists:
        return False
    return True
