"""Object storage in a folder: for one machine, tests and volumes that every process mounts."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from service.adapters.storage_folder_files import (
    draft,
    locked,
    make_folder,
    prune,
    publish,
    remove,
    stale_drafts,
)
from service.adapters.storage_folder_metadata import Sidecar
from service.adapters.storage_folder_walk import stat_file, walk
from service.adapters.storage_object import (
    Leftover,
    StoredObject,
    check_key,
    check_metadata,
    check_prefix,
)
from service.contract.errors import ObjectExists, ObjectMissing, StorageUnavailable

#: Holds drafts, locks and metadata; no key reaches into it and no listing shows it.
BOOKKEEPING = ".latentmill"
#: Keys share this many lock files, so that locks neither pile up nor stand in each other's way.
_LOCKS = 64


class FolderStorage:
    """A file for each object, at its key. Metadata comes before the file and goes after it.

    A key cannot be another key's folder (`a` beside `a/b`), unlike in S3. The constructor raises
    StorageUnavailable too, when the folder cannot be made or written.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        own = self._root / BOOKKEEPING
        self._drafts, self._locks, self._metadata = own / "drafts", own / "locks", own / "metadata"
        with self._answering():
            for folder in (self._drafts, self._locks, self._metadata):
                make_folder(folder)
            for path in stale_drafts(self._drafts, now=time.time()):
                path.unlink(missing_ok=True)

    def put(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._write(key, data, metadata or {}, only_if_free=False)

    def create(
        self, key: str, data: bytes | memoryview, *, metadata: Mapping[str, str] | None = None
    ) -> None:
        with self._answering():
            if self._path(key).is_file():  # Spares a draft; the decision is made under the lock.
                raise ObjectExists(f"{key} exists already")
        self._write(key, data, metadata or {}, only_if_free=True)

    def get(self, key: str) -> bytes:
        with self._reading(key):
            return self._path(key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        with self._reading(key):
            return self._path(key).open("rb")

    def head(self, key: str) -> StoredObject:
        path, sidecar = self._path(key), self._sidecar(key)
        with self._reading(key):
            while True:
                seen = stat_file(path)
                metadata = sidecar.read(seen.st_ino)
                # A writer in between would make the size one object's and the metadata another's.
                if _same(seen, stat_file(path)):
                    return _stored(key, seen, metadata)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        return self._listed(prefix, after)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._answering(), self._locked(key):
            remove(path)
            prune(path.parent, below=self._root)
            self._sidecar(key).remove()

    def refresh(self, key: str) -> None:
        # Under the lock, or a writer in between would find its file older or younger than it is.
        with self._reading(key), self._locked(key):
            os.utime(self._path(key))

    def leftovers(self, *, now: datetime) -> Iterator[Leftover]:
        with self._answering():
            for path in stale_drafts(self._drafts, now=now.timestamp()):
                remove = partial(path.unlink, missing_ok=True)
                yield Leftover(path.name, path.stat().st_size, remove)

    def sign(self, key: str, *, expires_s: int, filename: str) -> None:  # noqa: ARG002 - a folder has no URLs
        return None

    def check(self) -> None:
        with self._answering(), draft(self._drafts, b"check"):
            return

    def _write(
        self, key: str, data: bytes | memoryview, metadata: Mapping[str, str], *, only_if_free: bool
    ) -> None:
        path = self._path(key)
        check_metadata(metadata)
        with self._answering(), draft(self._drafts, data) as coming, self._locked(key):
            standing = _inode(path)
            if only_if_free and standing is not None:
                raise ObjectExists(f"{key} exists already")
            with self._sidecar(key).handover(standing, coming.stat().st_ino, metadata):
                publish(coming, path)

    def _path(self, key: str) -> Path:
        check_key(key)
        if key.split("/")[0] == BOOKKEEPING:
            raise ValueError(f"{BOOKKEEPING} is the storage's own")
        return self._root / key

    def _sidecar(self, key: str) -> Sidecar:
        return Sidecar(self._metadata, key, drafts=self._drafts)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        with locked(self._locks / f"{crc32(key.encode()) % _LOCKS:02d}"):
            yield

    def _listed(self, prefix: str, after: str) -> Iterator[StoredObject]:
        with self._answering():
            self._must_stand()
            for key, found in walk(self._root, prefix=prefix, after=after, hidden=BOOKKEEPING):
                yield _stored(key, found, {})

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with self._answering():
            try:
                yield
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                self._must_stand()
                raise ObjectMissing(f"no object has the key {key}") from error

    def _must_stand(self) -> None:
        # A volume that is no longer mounted must not look like an empty store.
        if not self._drafts.is_dir():
            raise FileNotFoundError(f"{self._drafts} is gone")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailable(
                f"the storage folder {self._root} cannot be used: {error}. Check that it is there, "
                "writable and not full, or set LATENTMILL_STORAGE_URL=file:///another/folder"
            ) from error


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.is_file() else None


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_mtime_ns, one.st_size) == (
        other.st_ino,
        other.st_mtime_ns,
        other.st_size,
    )


def _stored(key: str, found: os.stat_result, metadata: Mapping[str, str]) -> StoredObject:
    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredObject(
        key=key, size_bytes=found.st_size, modified_at=modified_at, metadata=metadata
    )
