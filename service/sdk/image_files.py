"""The image files in an archive, as they were packed: zip, tar and parquet hold the same ones."""

import csv
import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import NamedTuple

from service.contract.errors import ArchiveBroken, StartRefused
from service.contract.mix import labels_between
from service.contract.recipe import Format

METADATA = "metadata.csv"

#: What the libraries raise for files that are not what their name says.
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, struct.error, zlib.error),
    *(LookupError, TypeError, ValueError, EOFError, OSError),
    # zipfile, of encrypted members and of versions to come; and what announces more than there is memory.
    *(RuntimeError, MemoryError),
)
#: Deflate packs no tighter than this.
_TIGHTEST = 1032

#: A sample's image and its label's id; anything else was not put there by us.
_TAR_MEMBER = re.compile(r"([0-9]{12})\.(png|cls)")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}|")


#: One label of all samples, or the mix they are of.
Named = str | Mapping[str, int] | None


class ImageFiles(NamedTuple):
    """Samples in index order: `files` PNG, `labels` ("" of a decoder without), `indexes`."""

    files: list[bytes]
    labels: list[str]
    indexes: list[int]


def read_image_files(data: bytes, format: Format, label: Named) -> ImageFiles:
    """Of an archive that holds any. Raises ArchiveBroken; StartRefused for parquet without pyarrow."""
    try:
        found = _READERS[format](data, label)
    except DAMAGE as error:
        raise ArchiveBroken(f"the archive cannot be read: {error}") from error
    return found


def file_name(label: str, index: int) -> str:
    """Of a sample in an image folder, as zip archives have it. Raises ArchiveBroken for what is no path to write to."""
    name = f"{label}/{index:012d}.png" if label else f"{index:012d}.png"
    if not _LABEL.fullmatch(label) or not 0 <= index < 10**12:
        raise _foreign(name)
    return name


def refuse_bomb(archive: zipfile.ZipFile, size_bytes: int) -> None:
    """Raises ArchiveBroken for members that overlap or announce more than can be packed into them.

    `size_bytes` is the archive's; see David Fifield, "A better zip bomb" (WOOT 2019).
    """
    members = archive.infolist()
    if sum(member.compress_size for member in members) > size_bytes or any(
        member.file_size > _TIGHTEST * (member.compress_size + 1) for member in members
    ):
        raise ArchiveBroken("the archive announces more than it can hold")


def _in_zip(data: bytes, _: Named) -> ImageFiles:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        refuse_bomb(archive, len(data))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(METADATA), "ascii")))
        for name in set(archive.namelist()) - {row["file_name"] for row in rows} - {METADATA}:
            raise _foreign(name)
        files = [_zip_member(archive, data, row["file_name"]) for row in rows]
    return ImageFiles(files, [row["label"] for row in rows], [int(row["index"]) for row in rows])


def _zip_member(archive: zipfile.ZipFile, data: bytes, name: str) -> bytes:
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        return archive.read(member)
    # Image files are stored as they are; cutting them out is several times faster than a stream.
    name_length, extra_length = struct.unpack_from("<HH", data, member.header_offset + 26)
    start = member.header_offset + 30 + name_length + extra_length
    return data[start : start + member.file_size]


def _in_tar(data: bytes, label: Named) -> ImageFiles:
    files: dict[int, bytes] = {}
    ids: dict[int, int] = {}
    for name, content in _tar_members(data):
        found = _TAR_MEMBER.fullmatch(name)
        if found is None:
            raise _foreign(name)
        if found[2] == "png":
            files[int(found[1])] = content
        else:
            ids[int(found[1])] = int(content)
    return ImageFiles(list(files.values()), _tar_labels(files, ids, label), list(files))


def _tar_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Plain files one after the other. Read by hand: `tarfile` also follows headers that lead it in circles."""
    at = 0
    while (block := data[at : at + tarfile.BLOCKSIZE]).strip(b"\0"):
        member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        start, stop = at + tarfile.BLOCKSIZE, at + tarfile.BLOCKSIZE + member.size
        if member.type != tarfile.REGTYPE or member.size < 0:
            raise _foreign(member.name)
        if stop > len(data):
            raise ArchiveBroken("the archive is cut off")
        yield member.name, data[start:stop]
        at = stop + -stop % tarfile.BLOCKSIZE


def _tar_labels(files: dict[int, bytes], ids: dict[int, int], label: Named) -> list[str]:
    """A tar holds ids, and the job knows which label it asked for; without one, the id has to do."""
    if not ids:
        return [""] * len(files)
    if list(ids) != list(files):
        raise ArchiveBroken("the archive does not hold a label for each image")
    if label is None:
        return [str(label_id) for label_id in ids.values()]
    labels = [label] * len(ids) if isinstance(label, str) else _mixed(ids, label)
    # Each name has one id, and each id one name.
    pairs = set(zip(labels, ids.values(), strict=True))
    if not len(pairs) == len(set(labels)) == len(set(ids.values())):
        raise ArchiveBroken("the archive holds samples of other labels than its job")
    return labels


def _mixed(ids: dict[int, int], mix: Mapping[str, int]) -> list[str]:
    first = next(iter(ids))
    if list(ids) != list(range(first, first + len(ids))):
        raise ArchiveBroken("the archive does not hold its samples in order")
    return labels_between(mix, first, first + len(ids))


def _in_parquet(data: bytes, _: Named) -> ImageFiles:
    if find_spec("pyarrow") is None:
        raise StartRefused("parquet archives are read with pyarrow: pip install pyarrow")
    from latentmill.parquet import read_columns

    return ImageFiles(*read_columns(data))


def _foreign(name: str) -> ArchiveBroken:
    return ArchiveBroken(f"an archive holds {name!r}, which is none of ours")


_READERS: dict[Format, Callable[[bytes, Named], ImageFiles]] = {
    Format.ZIP: _in_zip,
    Format.TAR: _in_tar,
    Format.PARQUET: _in_parquet,
}
#: Formats of which `read_image_files` is for.
HOLD_IMAGES = tuple(_READERS)
