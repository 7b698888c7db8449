"""`npz`: `images` uint8 [n, H, W, C], `indexes` int64 [n], and with labels `labels` int64 [n] and `label_names`.

`numpy.load` reads it; `labels` are ids, positions in `label_names`.
"""

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.archives.container import DEFLATED, Container
from workers.decoder import Images
from workers.png import LEVELS


class NpzArchive:
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard) -> None:
        self._label, self._shard, self._card = recipe.label, shard, card
        self._level = LEVELS[recipe.compression]
        self._images = _Member(self._level)
        image = card.image
        self._images.write(
            _npy_header((shard.samples, image.height, image.width, image.channels), "|u1")
        )

    def add(self, images: Images) -> None:
        self._images.write(np.ascontiguousarray(images).data)

    def finish(self) -> bytes:
        container = Container()
        self._images.add_to(container, "images.npy")
        for name, array in self._tables():
            member = _Member(self._level)
            member.write(_npy_header(array.shape, array.dtype.str))
            member.write(array.tobytes())
            member.add_to(container, f"{name}.npy")
        return container.finish()

    def _tables(self) -> list[tuple[str, npt.NDArray[Any]]]:
        tables: list[tuple[str, npt.NDArray[Any]]] = [
            ("indexes", np.arange(self._shard.start, self._shard.stop, dtype="<i8"))
        ]
        if self._label is not None:
            label_id = self._card.label_id(self._label)
            tables.append(("labels", np.full(self._shard.samples, label_id, "<i8")))
            tables.append(("label_names", np.array(self._card.labels, "<U64")))
        return tables


class _Member:
    """One member, compressed as it is written."""

    def __init__(self, level: int) -> None:
        self._packer = zlib.compressobj(level, zlib.DEFLATED, -15)
        self._packed, self._size, self._crc = bytearray(), 0, 0

    def write(self, data: bytes | memoryview) -> None:
        self._packed += self._packer.compress(data)
        self._crc = zlib.crc32(data, self._crc)
        self._size += memoryview(data).nbytes

    def add_to(self, container: Container, name: str) -> None:
        self._packed += self._packer.flush()
        container.add(name, bytes(self._packed), size=self._size, crc=self._crc, method=DEFLATED)


def _npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue()
