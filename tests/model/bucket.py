"""The bucket of the simulation: storage in memory that goes away, loses replies, and shows every write to the judge."""

import builtins
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, TypeVar

from service.adapters.storage_object import Leftover, StoredObject
from service.contract.errors import ObjectExists, StorageUnavailable
from tests.model.faults import Faults
from tests.model.judge import Judge
from tests.model.stage import Stage
from tests.model.store import MemoryStorage

T = TypeVar("T")


class Bucket:
    """Every call gives the turn away first; the judge hears of each write, as it is applied."""

    def __init__(self, stage: Stage, faults: Faults, store: MemoryStorage, judge: Judge) -> None:
        self._stage, self._faults, self.store, self._judge = stage, faults, store, judge

    def _call(self, what: str, key: str, go: Callable[[], T]) -> T:
        self._stage.yields(f"{what} {key}")
        if self._faults.storage_is_away(self._stage.now_ms):
            self._stage.tell("storage is away")
            raise StorageUnavailable("away")
        return go()

    def _write(self, what: str, key: str, go: Callable[[], None]) -> None:
        def apply() -> None:
            if what == "delete":
                self._judge.deletes(key)
            go()
            self._judge.wrote(key)

        self._call(what, key, apply)
        if self._faults.strikes("reply_lost"):
            self._stage.tell("applied, and the reply is lost")
            raise StorageUnavailable("the reply was lost")

    def put(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._write("put", key, lambda: self.store.put(key, data, metadata=metadata))

    def create(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._write("create", key, lambda: self.store.create(key, data, metadata=metadata))
        if self._faults.strikes("repeated"):
            # As a client library does after a lost reply: what it finds is its own object.
            self._stage.tell("applied, repeated, exists already")
            raise ObjectExists(key)

    def get(self, key: str) -> bytes:
        return self._call("get", key, lambda: self.store.get(key))

    def open(self, key: str) -> BinaryIO:
        return self._call("open", key, lambda: self.store.open(key))

    def head(self, key: str) -> StoredObject:
        return self._call("head", key, lambda: self.store.head(key))

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Listed at one moment, and looked at in the moments after it."""
        found: builtins.list[StoredObject] = self._call(
            "list", prefix, lambda: [*self.store.list(prefix, after=after)]
        )
        yield from found

    def delete(self, key: str) -> None:
        self._write("delete", key, lambda: self.store.delete(key))

    def refresh(self, key: str) -> None:
        self._call("refresh", key, lambda: self.store.refresh(key))

    def leftovers(self, *, now: datetime) -> Iterator[Leftover]:
        yield from ()

    def sign(self, key: str, *, expires_s: int, filename: str) -> str | None:
        return None

    def check(self) -> None:
        """Not asked at start: the bucket may be away then."""
