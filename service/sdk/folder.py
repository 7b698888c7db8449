"""A job's files on disk: one archive per shard, and the manifest that tells what they are."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from service.contract import layout
from service.contract.croissant import croissant_of
from service.contract.errors import ArchiveBroken, FolderTaken
from service.contract.manifest import Manifest, ManifestShard
from service.contract.shard import Shard

MANIFEST = "manifest.json"


def archive_path(folder: Path, manifest: Manifest, shard: ManifestShard) -> Path:
    """Where a shard's archive lies; the name is made of numbers, never taken from an answer."""
    piece = Shard(index=shard.index, start=shard.start, stop=shard.stop)
    key = layout.shard(manifest.recipe_digest, piece, manifest.recipe.format)
    return folder / key.rpartition("/")[2]


def claim_folder(folder: Path, manifest: Manifest) -> None:
    """Make the folder and put the manifest in. Raises FolderTaken when another job is there."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists() and read_manifest(folder).id != manifest.id:
        raise FolderTaken(f"{folder} holds the files of job {read_manifest(folder).id}")
    with written_whole(folder / MANIFEST) as file:
        file.write(manifest.to_json())


def croissant_of_folder(folder: Path) -> dict[str, Any]:
    """The Croissant card of a downloaded job, to be put beside its archives. Raises ArchiveBroken."""
    manifest = read_manifest(folder)
    return croissant_of(manifest, lambda shard: archive_path(folder, manifest, shard).name)


def discard(folder: Path) -> None:
    """Remove what an earlier download put there, and nothing else."""
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        for shard in manifest.shards:
            archive_path(folder, manifest, shard).unlink(missing_ok=True)
        (folder / MANIFEST).unlink()


def read_manifest(folder: Path) -> Manifest:
    """Raises ArchiveBroken when the folder has none."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes(), extra="ignore")
    except OSError as error:
        raise ArchiveBroken(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ArchiveBroken(f"{folder / MANIFEST} is not a manifest") from error


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends well, and else not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
