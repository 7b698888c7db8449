"""Object storage in memory, and the same with a seed's faults."""

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO

from service.adapters.storage_object import (
    Leftover,
    StoredObject,
    check_key,
    check_metadata,
    check_prefix,
)
from service.contract.errors import ObjectExists, ObjectMissing

_EPOCH = datetime(2026, 11, 23, tzinfo=UTC)


class MemoryStorage:
    """A dictionary that keeps the contract of `Storage`."""

    def __init__(self, clock: Callable[[], datetime] = lambda: _EPOCH) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str], datetime]] = {}
        self._clock = clock

    def put(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        check_key(key)
        check_metadata(metadata or {})
        self.objects[key] = bytes(data), dict(metadata or {}), self._clock()

    def create(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        if key in self.objects:
            raise ObjectExists(f"{key} exists already")
        self.put(key, data, metadata=metadata)

    def get(self, key: str) -> bytes:
        return self._found(key)[0]

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def head(self, key: str) -> StoredObject:
        data, metadata, modified_at = self._found(key)
        return StoredObject(
            key=key, size_bytes=len(data), modified_at=modified_at, metadata=metadata
        )

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > after and key in self.objects:
                yield self.head(key).model_copy(update={"metadata": {}})

    def delete(self, key: str) -> None:
        check_key(key)
        self.objects.pop(key, None)

    def refresh(self, key: str) -> None:
        data, metadata, _ = self._found(key)
        self.objects[key] = data, metadata, self._clock()

    def leftovers(self, *, now: datetime) -> Iterator[Leftover]:
        yield from ()

    def sign(self, key: str, *, expires_s: int, filename: str) -> str | None:
        return None

    def check(self) -> None:
        """Always there."""

    def _found(self, key: str) -> tuple[bytes, dict[str, str], datetime]:
        check_key(key)
        try:
            return self.objects[key]
        except KeyError as error:
            raise ObjectMissing(f"no object {key}") from error
