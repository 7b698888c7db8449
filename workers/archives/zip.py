"""`zip`: `{label}/{index:012d}.png` for every sample, then `metadata.csv`.

PNG files are stored as they are, for they are compressed already. Unpacked, the archive is an image folder for
torchvision; as it is, it is one for Hugging Face.
"""

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
from workers.kernel.vector import SLACK
from workers.kernel.zip import put_directory, put_headers, put_rows
from workers.png import FAST_LEVEL, ISAL, png_encoder

_COLUMNS = b"file_name,label,index\n"
_INDEX_DIGITS, _SUFFIX = 12, ".png"
#: Headers of one member and its row, without its name; twice the name and the label fit too.
_HEADERS, _LONGEST_NAME = 30 + 46 + 64, 96


class ZipArchive:
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        self._png, self._body, self._shard = (
            png_encoder(card.image, recipe.compression),
            body,
            shard,
        )
        self._label = recipe.label or ""
        folder = f"{recipe.label}/" if recipe.label else ""
        self._name = f"{folder}{shard.start:0{_INDEX_DIGITS}d}{_SUFFIX}"
        self._first = Member(self._name, method=STORED, offset=0)
        self._header = _template(self._first.local_header())
        self._crcs, self._sizes = (np.empty(shard.samples, np.uint32) for _ in range(2))
        self._added = 0
        self.encoder = " ".join(sorted({*self._png.version.split(), ISAL}))
        body.begin(shard.samples * (self._png.largest + _HEADERS + 4 * _LONGEST_NAME) + 4096)

    def add(self, images: Images) -> None:
        header, size = self._header
        files, count = self._png.encode(images, out=self._body.room(), gap=size), len(images)
        sums = self._crcs[self._added :], self._sizes[self._added :]
        put_headers(files, count, *sums, header, size, size - 1 - len(_SUFFIX))
        self._body.grow(int(files.ends[count]))
        self._added += count

    def finish(self) -> None:
        table = self._metadata()
        packed = isal_zlib.compress(table, FAST_LEVEL, wbits=-15)
        crc = isal_zlib.crc32(table)
        metadata = put_member(
            self._body, "metadata.csv", packed, size=len(table), crc=crc, method=DEFLATED
        )
        directory = self._body.size
        entry, size = _template(self._first.entry())
        digit = size - 1 - len(_SUFFIX)
        room = self._body.room()
        self._body.grow(put_directory(self._crcs, self._sizes, entry, size, digit, room))
        put_entries(self._body, [metadata])
        put_end(self._body, members=self._shard.samples + 1, directory=directory)

    def _metadata(self) -> bytes:
        start = f"{self._name},{self._label},".encode("ascii")
        row, size = _template(start + f"{self._shard.start:0{_INDEX_DIGITS}d}\n".encode("ascii"))
        digit = len(self._name) - 1 - len(_SUFFIX)
        rows = np.empty(self._shard.samples * size + SLACK, np.uint8)
        used = put_rows(self._shard.samples, row, size, digit, _INDEX_DIGITS, rows)
        return _COLUMNS + rows[:used].tobytes()


def _template(data: bytes) -> tuple[npt.NDArray[np.uint8], int]:
    """Bytes for a kernel to count up and copy from, and how many of them there are."""
    return np.frombuffer(data + bytes(SLACK), np.uint8).copy(), len(data)
