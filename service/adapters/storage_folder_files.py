"""Files that appear whole or not at all and survive a power cut: the ground under FolderStorage."""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: A lock is held for a few fsyncs; waiting longer means that its holder is frozen or the disk is.
LOCK_TIMEOUT_S = 30.0
_LOCK_POLL_S = 0.002
#: A draft this old belongs to a dead process: writing the largest shard takes seconds.
DRAFT_MAX_AGE_S = 3600.0
#: A folder may be pruned between making it and using it; more than a few times in a row it cannot.
_PUBLISH_TRIES = 8

#: From this size on a file bypasses the page cache. Linux has a flag for it, others write as usual.
LARGE = 2**20
_O_DIRECT = getattr(os, "O_DIRECT", 0)
#: What direct writes are aligned to, in the file and in memory: no disk has larger sectors.
_PAGE = 4096


@contextmanager
def draft(folder: Path, data: bytes | memoryview) -> Iterator[Path]:
    """A synced file that is removed at the end, unless it was published. Raises OSError."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(8)}"
    try:
        _write_synced(path, memoryview(data))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_synced(path: Path, data: memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        written = _write_past_cache(descriptor, data) if len(data) >= LARGE else 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        # A marker has no bytes to lose: it is durable when its folder is.
        if written:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_past_cache(descriptor: int, data: memoryview) -> int:
    """Write whole pages straight from memory to disk, where file system and address allow; the bytes written.

    An archive is written once and read elsewhere: the copy for the page cache took more of a core than the archive's
    PNG files, and pushed out what others read.
    """
    whole = len(data) - len(data) % _PAGE
    usual = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, usual | _O_DIRECT)
        return os.write(descriptor, data[:whole])
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return 0
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, usual)


def publish(draft: Path, path: Path) -> None:
    """Move a draft over what stands at `path`, to survive a power cut. Raises OSError."""
    for remaining in reversed(range(_PUBLISH_TRIES)):
        # A draft that is gone went with its volume; no folder must be made where that was mounted.
        draft.stat()
        make_folder(path.parent)
        try:
            draft.replace(path)
            break
        except FileNotFoundError:
            if not remaining:
                raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove the file for good; a missing one is no error. Raises OSError."""
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        path.unlink()
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def prune(folder: Path, *, below: Path) -> None:
    """Remove the folder and those above it while they are empty; the children of `below` stay."""
    with suppress(OSError):
        while below in folder.parent.parents:
            folder.rmdir()
            folder = folder.parent


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file against threads and processes; the killed let go. Raises TimeoutError."""
    # A descriptor of its own for each holder: flock tells threads apart by nothing else.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait_for(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} stayed locked for {LOCK_TIMEOUT_S:.0f} s") from None
            time.sleep(_LOCK_POLL_S)


def stale_drafts(folder: Path, *, now: float) -> Iterator[Path]:
    """What dead processes left; never the draft of a living one."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < now - DRAFT_MAX_AGE_S:
                yield path
