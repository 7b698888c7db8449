"""Downloads a job's archives: several at a time, each checked before it gets its name."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from latentmill.folder import archive_path, claim_folder, written_whole
from latentmill.transport import Transport

from service.contract.errors import ArchiveBroken, LatentmillError
from service.contract.manifest import Manifest, ManifestShard

#: Enough to fill a line where each request waits for a disk, few enough to be a good guest.
PARALLEL = 4
#: A wrong checksum is a damaged line or a damaged object; asking again tells which.
_TRIES = 3

#: Called with the bytes done and the bytes in all, from several threads, one at a time.
OnBytes = Callable[[int, int], None]

Body = TypeVar("Body")


class Meter:
    """Counts bytes from several threads and tells them on."""

    def __init__(self, total: int, on_progress: OnBytes | None) -> None:
        self._done, self._total, self._tell = 0, total, on_progress
        self._lock = threading.Lock()
        self.is_cancelled = False

    def add(self, size: int) -> None:
        """Raises LatentmillError once the download was given up."""
        if self.is_cancelled:
            raise LatentmillError("the download was given up")
        with self._lock:
            self._done += size
            if self._tell is not None:
                self._tell(self._done, self._total)

    def take_back(self, size: int) -> None:
        with self._lock:
            self._done -= size


def download(
    transport: Transport, manifest: Manifest, folder: Path, on_progress: OnBytes | None = None
) -> list[Path]:
    """Every archive of the job in `folder`, beside its `manifest.json`; the paths in index order.

    Archives that are there and intact are kept. Raises ArchiveBroken naming the shard whose bytes
    are wrong at the source, ShardExpired for one that is gone, FolderTaken.
    """
    claim_folder(folder, manifest)
    meter = Meter(manifest.size_bytes, on_progress)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="download") as pool:
        paths = [
            pool.submit(_fetch_unless_there, transport, manifest, shard, folder, meter)
            for shard in manifest.shards
        ]
        try:
            return [path.result() for path in paths]
        except BaseException:
            meter.is_cancelled = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_unless_there(
    transport: Transport, manifest: Manifest, shard: ManifestShard, folder: Path, meter: Meter
) -> Path:
    path = archive_path(folder, manifest, shard)
    if _is_intact(path, shard):
        meter.add(shard.size_bytes)
        return path

    def write() -> None:
        with written_whole(path) as file:
            for chunk in _checked(transport, manifest.id, shard, meter):
                file.write(chunk)

    _with_tries(transport, write)
    return path


def fetch(transport: Transport, job_id: str, shard: ManifestShard, meter: Meter) -> bytes:
    """One archive in memory, checked like those on disk."""
    return _with_tries(transport, lambda: b"".join(_checked(transport, job_id, shard, meter)))


def _with_tries(transport: Transport, attempt: Callable[[], Body]) -> Body:
    for _ in range(_TRIES - 1):
        with suppress(ArchiveBroken):
            return transport.patiently(attempt)
    return transport.patiently(attempt)


def _is_intact(path: Path, shard: ManifestShard) -> bool:
    if not path.is_file() or path.stat().st_size != shard.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256


def _checked(
    transport: Transport, job_id: str, shard: ManifestShard, meter: Meter
) -> Iterator[bytes]:
    """The body's chunks; after the last one raises ArchiveBroken when they are not the shard's."""
    digest, size = hashlib.sha256(), 0
    try:
        with transport.stream(f"/v1/jobs/{job_id}/shards/{shard.index}") as chunks:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                meter.add(len(chunk))
                yield chunk
        if digest.hexdigest() != shard.sha256:
            raise ArchiveBroken(f"shard {shard.index} arrived with the wrong sha256")
    except BaseException:
        meter.take_back(size)
        raise
