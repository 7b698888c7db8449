"""What Latentmill needs of object storage, and the choice of who gives it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from service.adapters.storage_object import Leftover, StoredObject
from service.contract.errors import ObjectExists, ObjectMissing
from service.contract.settings import Settings

__all__ = ["Leftover", "Storage", "StoredObject", "create_or_keep", "exists", "open_storage"]


class Storage(Protocol):
    """Keys to bytes, strongly consistent.

    Keys and metadata that break the rules in `storage_object` raise ValueError. Any method raises
    StorageUnavailable when the store does not answer: which store, what happened, what to set.
    """

    def put(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write the object whole or not at all, over any object of that key."""

    def create(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write the object only if the key is free: of all who try, one wins. Raises ObjectExists.

        Where an answer was lost and the call repeated, what exists may be this caller's own object.
        """

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises ObjectMissing."""

    def open(self, key: str) -> BinaryIO:
        """The object as a stream that the caller closes. Raises ObjectMissing."""

    def head(self, key: str) -> StoredObject:
        """Size, age and metadata. Raises ObjectMissing."""

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Objects whose key starts with `prefix` and sorts behind `after`, ordered by key."""

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""

    def refresh(self, key: str) -> None:
        """Make the object as young as one written now; bytes and metadata stay. Raises ObjectMissing."""

    def leftovers(self, *, now: datetime) -> Iterator[Leftover]:
        """What writers left behind so long before `now` that none of them can still live."""

    def sign(self, key: str, *, expires_s: int, filename: str) -> str | None:
        """A URL that reads this one object for a while; None when the store cannot sign."""

    def check(self) -> None:
        """Ask the store for an answer."""


def open_storage(settings: Settings) -> Storage:
    """The storage that `LATENTMILL_STORAGE_URL` names."""
    parts = urlsplit(settings.storage_url)
    if parts.scheme == "file":
        from service.adapters.storage_folder import FolderStorage

        return FolderStorage(unquote(parts.path))
    from service.adapters.storage_s3 import S3Storage

    return S3Storage(bucket=parts.netloc, prefix=parts.path.strip("/"), settings=settings)


def exists(storage: Storage, key: str) -> bool:
    try:
        storage.head(key)
    except ObjectMissing:
        return False
    return True


def create_or_keep(storage: Storage, key: str, data: bytes) -> bytes:
    """Create the object, or read what another created first: the bytes that stand, either way."""
    try:
        storage.create(key, data)
    except ObjectExists:
        return storage.get(key)
    return data
