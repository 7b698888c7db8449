"""`zip`: `{label}/{index:012d}.png` for every sample, then `metadata.csv`.

PNG files are stored as they are, for they are compressed already. Unpacked, the archive is an image folder for
torchvision; as it is, it is one for Hugging Face.
"""

import zlib

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.archives.container import DEFLATED, STORED, Container
from workers.decoder import Images
from workers.png import LEVELS, encode_png


class ZipArchive:
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard) -> None:
        self._label, self._compression, self._shape = recipe.label, recipe.compression, card.image
        self._next = shard.start
        self._container = Container()
        self._rows = ["file_name,label,index"]

    def add(self, images: Images) -> None:
        folder = f"{self._label}/" if self._label is not None else ""
        for png in encode_png(images, self._shape, self._compression):
            name = f"{folder}{self._next:012d}.png"
            self._container.add(name, png, size=len(png), crc=zlib.crc32(png), method=STORED)
            self._rows.append(f"{name},{self._label or ''},{self._next}")
            self._next += 1

    def finish(self) -> bytes:
        table = ("\n".join(self._rows) + "\n").encode("ascii")
        packed = zlib.compress(table, LEVELS[self._compression], wbits=-15)
        self._container.add(
            "metadata.csv", packed, size=len(table), crc=zlib.crc32(table), method=DEFLATED
        )
        return self._container.finish()
