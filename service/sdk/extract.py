"""Unpacks a downloaded job into one image folder, as torchvision and Hugging Face read it."""

import re
import zipfile
from pathlib import Path

from latentmill.archive import METADATA
from latentmill.folder import archive_path, read_manifest, written_whole

from service.contract.errors import ArchiveBroken, Fault, RequestInvalid
from service.contract.recipe import Format

#: Anything else in an archive was not put there by us, and is no path to write to.
_MEMBER = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63}/)?[0-9]{12}\.png")


def extract(folder: Path) -> Path:
    """All images of a downloaded job in `folder/images`, with one `metadata.csv`.

    Raises RequestInvalid when the archives hold no image files, ArchiveBroken for a damaged one.
    """
    manifest = read_manifest(folder)
    if manifest.recipe.format != Format.ZIP:
        why = f"{manifest.recipe.format} archives hold arrays; only zip archives hold image files"
        raise RequestInvalid([Fault("/format", why)])
    target = folder / "images"
    target.mkdir(exist_ok=True)
    # The table goes last: its presence says that every image is there.
    with written_whole(target / METADATA) as table:
        table.write(b"file_name,label,index\n")
        for shard in manifest.shards:
            table.write(_unpack(archive_path(folder, manifest, shard), target))
    return target


def _unpack(path: Path, target: Path) -> bytes:
    """Write one archive's images; its rows of the table, without the head."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name != METADATA:
                    _write(target / _checked(name), archive.read(name))
            return archive.read(METADATA).partition(b"\n")[2]
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise ArchiveBroken(f"{path} cannot be unpacked: {error}") from error


def _checked(name: str) -> str:
    if not _MEMBER.fullmatch(name):
        raise ArchiveBroken(f"an archive holds {name!r}, which is none of ours")
    return name


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
