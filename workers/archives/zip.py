"""`zip`: `{label}/{index:012d}.png` for every sample, then `metadata.csv`.

PNG files are stored as they are, for they are compressed already. Unpacked, the archive is an image folder for
torchvision; as it is, it is one for Hugging Face.
"""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.archives.container import (
    DEFLATED,
    STORED,
    Member,
    put_end,
    put_entries,
    put_member,
)
from workers.body import Body
from workers.decoder import Images
from workers.kernel.mixed_zip import put_mixed_directory, put_mixed_members
from workers.kernel.vector import SLACK
from workers.kernel.zip import put_directory, put_headers, put_rows
from workers.labels import label_ids_of
from workers.png import FAST_LEVEL, ISAL, png_encoder

Bytes = npt.NDArray[np.uint8]

_COLUMNS = b"file_name,label,index\n"
_INDEX_DIGITS, _SUFFIX = 12, ".png"
#: Headers of one member and its row, without its name; twice the name and the label fit too.
_HEADERS, _LONGEST_NAME = 30 + 46 + 64, 96


def zip_archive(recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> "ZipArchive":
    """The archive of one label, or of a mix."""
    kind = OneFolderZip if recipe.labels is None else MixedZip
    return kind(recipe, shard, card, body)


class ZipArchive(ABC):
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        self._png, self._body, self._shard = (
            png_encoder(card.image, recipe.compression),
            body,
            shard,
        )
        self.label_ids = label_ids_of(recipe, shard, card)
        self._crcs, self._sizes = (np.empty(shard.samples, np.uint32) for _ in range(2))
        self._added = 0
        self.encoder = " ".join(sorted({*self._png.version.split(), ISAL}))
        body.begin(shard.samples * (self._png.largest + _HEADERS + 4 * _LONGEST_NAME) + 4096)

    @abstractmethod
    def add(self, images: Images) -> None:
        """The next samples, each a member."""

    @abstractmethod
    def _directory(self, room: Bytes) -> int:
        """Write the entries of all samples; their bytes."""

    @abstractmethod
    def _rows(self) -> bytes:
        """Of metadata.csv, without its first."""

    def finish(self) -> None:
        table = _COLUMNS + self._rows()
        packed = isal_zlib.compress(table, FAST_LEVEL, wbits=-15)
        crc = isal_zlib.crc32(table)
        metadata = put_member(
            self._body, "metadata.csv", packed, size=len(table), crc=crc, method=DEFLATED
        )
        directory = self._body.size
        self._body.grow(self._directory(self._body.room()))
        put_entries(self._body, [metadata])
        put_end(self._body, members=self._shard.samples + 1, directory=directory)


class OneFolderZip(ZipArchive):
    """All samples have one label, or none: headers differ in a number alone, and files are made where they stay."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        super().__init__(recipe, shard, card, body)
        self._label = recipe.label or ""
        self._name = _name(self._label, shard.start)
        self._first = Member(self._name, method=STORED, offset=0)
        self._header = _template(self._first.local_header())

    def add(self, images: Images) -> None:
        header, size = self._header
        files, count = self._png.encode(images, out=self._body.room(), gap=size), len(images)
        sums = self._crcs[self._added :], self._sizes[self._added :]
        put_headers(files, count, *sums, header, size, size - 1 - len(_SUFFIX))
        self._body.grow(int(files.ends[count]))
        self._added += count

    def _directory(self, room: Bytes) -> int:
        entry, size = _template(self._first.entry())
        digit = size - 1 - len(_SUFFIX)
        return int(put_directory(self._crcs, self._sizes, entry, size, digit, room))

    def _rows(self) -> bytes:
        start = f"{self._name},{self._label},".encode("ascii")
        row, size = _template(start + f"{self._shard.start:0{_INDEX_DIGITS}d}\n".encode("ascii"))
        digit = len(self._name) - 1 - len(_SUFFIX)
        rows = np.empty(self._shard.samples * size + SLACK, np.uint8)
        used = put_rows(self._shard.samples, row, size, digit, _INDEX_DIGITS, rows)
        return rows[:used].tobytes()


class MixedZip(ZipArchive):
    """Samples lie in the folders of their labels, in index order all the same."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        super().__init__(recipe, shard, card, body)
        assert self.label_ids is not None
        used, self._places = np.unique(self.label_ids, return_inverse=True)
        self._labels = [card.labels[label_id] for label_id in used]
        firsts = [
            Member(_name(label, shard.start), method=STORED, offset=0) for label in self._labels
        ]
        self._headers = _templates([member.local_header() for member in firsts])
        self._entries = _templates([member.entry() for member in firsts])

    def add(self, images: Images) -> None:
        files, count, done = self._png.encode(images), len(images), self._added
        size = put_mixed_members(
            *(files, count, self._shard.start + done, *self._headers),
            *(self._places[done:], self._crcs[done:], self._sizes[done:], self._body.room()),
        )
        self._body.grow(size)
        self._added += count

    def _directory(self, room: Bytes) -> int:
        sums = self._crcs, self._sizes
        size = put_mixed_directory(*sums, self._shard.start, *self._entries, self._places, room)
        return int(size)

    def _rows(self) -> bytes:
        rows = (
            f"{_name(self._labels[place], index)},{self._labels[place]},{index}\n"
            for index, place in enumerate(self._places.tolist(), self._shard.start)
        )
        return "".join(rows).encode("ascii")


def _name(label: str, index: int) -> str:
    return (
        f"{label}/{index:0{_INDEX_DIGITS}d}{_SUFFIX}"
        if label
        else f"{index:0{_INDEX_DIGITS}d}{_SUFFIX}"
    )


def _template(data: bytes) -> tuple[Bytes, int]:
    """Bytes for a kernel to count up and copy from, and how many of them there are."""
    return np.frombuffer(data + bytes(SLACK), np.uint8).copy(), len(data)


def _templates(rows: list[bytes]) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The same, a row each."""
    sizes = np.array([len(row) for row in rows], np.int64)
    padded = [row.ljust(int(sizes.max()) + SLACK, b"\0") for row in rows]
    return np.array([np.frombuffer(row, np.uint8) for row in padded]), sizes
