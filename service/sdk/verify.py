"""Verifies a job: every archive's bytes and pixels against the manifest, on disk or stored."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from latentmill.archive import read_archive
from latentmill.download import Meter, fetch
from latentmill.folder import archive_path, read_manifest
from latentmill.transport import Transport

from service.contract.errors import ArchiveBroken, ShardExpired, ShardNotStored, UnknownShard
from service.contract.manifest import Manifest, ManifestShard
from service.contract.merkle import leaf_hash, root_of
from service.contract.statement import problem_with_manifest
from service.contract.value import Value, sha256_hex

#: Called after each shard with the shards done and the shards in all.
OnShard = Callable[[int, int], None]
#: The bytes of one archive. Raises ArchiveBroken, ShardExpired, ShardNotStored, UnknownShard.
ReadShard = Callable[[ManifestShard], bytes]


class ShardFault(Value):
    """One shard that is not what the manifest says: samples `start` … `stop` - 1, in `file`."""

    index: int
    start: int
    stop: int
    file: str
    problem: str


class Verification(Value):
    """What was looked at and what is wrong with it."""

    id: str
    shards: int
    samples: int
    size_bytes: int
    faults: tuple[ShardFault, ...]
    manifest_problem: str | None = None

    @property
    def is_intact(self) -> bool:
        return not self.faults and self.manifest_problem is None


def verify_folder(
    folder: Path, on_progress: OnShard | None = None, *, public_key: str | None = None
) -> Verification:
    """Archives in a folder against its `manifest.json`, and that against the key of who has to stand for it.

    Raises ArchiveBroken without a manifest, ValueError for what is no public key.
    """
    manifest = read_manifest(folder)
    return _verify(manifest, from_folder(folder, manifest), on_progress, public_key)


def from_folder(folder: Path, manifest: Manifest) -> ReadShard:
    return lambda shard: _read(archive_path(folder, manifest, shard))


def verify_stored(
    transport: Transport,
    manifest: Manifest,
    on_progress: OnShard | None = None,
    *,
    public_key: str | None = None,
) -> Verification:
    """Archives on the server against its manifest; nothing is kept."""
    return _verify(manifest, from_server(transport, manifest), on_progress, public_key)


def from_server(transport: Transport, manifest: Manifest) -> ReadShard:
    meter = Meter(manifest.size_bytes, None)
    return lambda shard: fetch(transport, manifest.id, shard, meter)


def _verify(
    manifest: Manifest, read: ReadShard, on_progress: OnShard | None, public_key: str | None
) -> Verification:
    # First: whoever gave no key that is one need not wait for the archives.
    manifest_problem = problem_with_manifest(manifest, public_key)
    faults = []
    for shard in manifest.shards:
        problem = _problem_with(shard, manifest, read)
        if problem:
            faults.append(_fault(shard, manifest, problem))
        if on_progress is not None:
            on_progress(shard.index + 1, len(manifest.shards))
    return Verification(
        id=manifest.id,
        shards=len(manifest.shards),
        samples=manifest.request.count,
        size_bytes=manifest.size_bytes,
        faults=tuple(faults),
        manifest_problem=manifest_problem,
    )


def _problem_with(shard: ManifestShard, manifest: Manifest, read: ReadShard) -> str | None:
    try:
        check_archive(read(shard), shard, manifest)
    except (ArchiveBroken, ShardExpired, ShardNotStored, UnknownShard) as error:
        return error.detail
    return None


def check_archive(data: bytes, shard: ManifestShard, manifest: Manifest) -> list[bytes]:
    """The leaves of the shard's tree. Raises ArchiveBroken saying what in the archive is not as the manifest says."""
    if len(data) != shard.size_bytes:
        raise ArchiveBroken(f"has {len(data)} bytes instead of {shard.size_bytes}")
    if sha256_hex(data) != shard.sha256:
        raise ArchiveBroken(f"has sha256 {sha256_hex(data)[:12]}…, not {shard.sha256[:12]}…")
    recipe = manifest.recipe
    arrays = read_archive(data, recipe.format, recipe.label or recipe.labels)
    if not np.array_equal(arrays.indexes, np.arange(shard.start, shard.stop)):
        raise ArchiveBroken(f"does not hold the samples {shard.start} to {shard.stop - 1} in order")
    if arrays.labels.tolist() != recipe.labels_between(shard.start, shard.stop):
        raise ArchiveBroken("holds samples of another label")
    leaves = [leaf_hash(image.data) for image in np.ascontiguousarray(arrays.images)]
    if root_of(leaves).hex() != shard.images_root:
        raise ArchiveBroken("holds other pixels than were made")
    return leaves


def _fault(shard: ManifestShard, manifest: Manifest, problem: str) -> ShardFault:
    file = archive_path(Path(), manifest, shard).name
    return ShardFault(
        index=shard.index, start=shard.start, stop=shard.stop, file=file, problem=problem
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ArchiveBroken("is missing") from error
    except OSError as error:
        raise ArchiveBroken(f"cannot be read: {error.strerror}") from error
