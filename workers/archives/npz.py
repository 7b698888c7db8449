"""`npz`: `images` uint8 [n, H, W, C], `indexes` int64 [n], and with labels `labels` int64 [n] and `label_names`.

`numpy.load` reads it; `labels` are ids, positions in `label_names`.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.archives.container import DEFLATED, Member, put_end, put_entries, put_member
from workers.archives.packing import packing
from workers.body import Body
from workers.decoder import Images
from workers.labels import label_ids_of
from workers.png import FAST_LEVEL, ISAL

#: Headers, names and directory of the four members, and what stands around their arrays.
_AROUND = 4096


class NpzArchive:
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        self.label_ids = label_ids_of(recipe, shard, card)
        self._shard, self._card, self._body = shard, card, body
        image = card.image
        size = shard.samples * image.size_bytes
        self._packing = packing(recipe.compression, image.channels)
        self.encoder = " ".join(sorted({*self._packing.version.split(), ISAL}))
        body.begin(
            self._packing.most(size) + 2 * 8 * shard.samples + 512 * len(card.labels) + _AROUND
        )
        # Streamed: its checksum is known only once all images were added.
        self._images = Member("images.npy", method=self._packing.method, offset=0, streamed=True)
        body.append(self._images.local_header())
        self._write(_npy_header((shard.samples, image.height, image.width, image.channels), "|u1"))

    def add(self, images: Images) -> None:
        self._write(np.ascontiguousarray(images).data.cast("B"))

    def finish(self) -> None:
        member, body = self._images, self._body
        member.packed += self._packing.finish(body)
        body.append(member.descriptor())
        members = [member, *(self._table(name, array) for name, array in self._tables())]
        directory = body.size
        put_entries(body, members)
        put_end(body, members=len(members), directory=directory)

    def _write(self, data: bytes | memoryview) -> None:
        member = self._images
        member.crc = isal_zlib.crc32(data, member.crc)
        member.size += memoryview(data).nbytes
        member.packed += self._packing.pack(data, self._body)

    def _table(self, name: str, array: npt.NDArray[Any]) -> Member:
        data = _npy_header(array.shape, array.dtype.str) + array.tobytes()
        crc, size = isal_zlib.crc32(data), len(data)
        packed = isal_zlib.compress(data, FAST_LEVEL, wbits=-15)
        return put_member(self._body, f"{name}.npy", packed, size=size, crc=crc, method=DEFLATED)

    def _tables(self) -> list[tuple[str, npt.NDArray[Any]]]:
        tables: list[tuple[str, npt.NDArray[Any]]] = [
            ("indexes", np.arange(self._shard.start, self._shard.stop, dtype="<i8"))
        ]
        if self.label_ids is not None:
            tables.append(("labels", self.label_ids.astype("<i8")))
            tables.append(("label_names", np.array(self._card.labels, "<U64")))
        return tables


def _npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()
