"""`tar`: `{index:012d}.png` for every sample and, with labels, `{index:012d}.cls` behind it: a WebDataset shard.

A `.cls` holds the label's id, its position in the card's labels, in decimal digits: what WebDataset's own handlers
decode to an int (webdataset/autodecode.py), and Hugging Face's loader too.
"""

import numpy as np
import numpy.typing as npt

from service.contract.card import DecoderCard
from service.contract.recipe import Recipe
from service.contract.shard import Shard
from workers.body import Body
from workers.decoder import Images
from workers.kernel.tar import BLOCK_BYTES, CHECKSUM_FIELD, NAME, put_members
from workers.kernel.vector import SLACK
from workers.labels import label_ids_of
from workers.png import png_encoder

#: Two empty blocks. Filling the last of a tape's records of twenty blocks is left out: nobody needs it of an object.
_END = bytes(2 * BLOCK_BYTES)


class TarArchive:
    """See `workers.archives.Archive`."""

    def __init__(self, recipe: Recipe, shard: Shard, card: DecoderCard, body: Body) -> None:
        self._png, self._body = png_encoder(card.image, recipe.compression), body
        self.encoder = self._png.version
        first = f"{shard.start:0{NAME[1]}d}"
        self._header = _template(_header(f"{first}.png", 0) + bytes(BLOCK_BYTES))
        self.label_ids = label_ids_of(recipe, shard, card)
        ids = np.empty(0, np.int64) if self.label_ids is None else self.label_ids
        used, self._places = np.unique(ids, return_inverse=True)
        labels = [_label(first, int(label_id)) for label_id in used]
        self._label_size = len(labels[0]) if labels else 0
        self._labels = np.array([_template(label) for label in labels or [b""]])
        self._added = 0
        largest = BLOCK_BYTES + _whole_blocks(self._png.largest) + self._label_size
        body.begin(shard.samples * largest + len(_END))

    def add(self, images: Images) -> None:
        files, room = self._png.encode(images), self._body.room()
        size = put_members(
            *(files, len(images), self._header, self._labels, self._label_size),
            *(self._places[self._added :], room),
        )
        self._body.grow(size)
        self._added += len(images)

    def finish(self) -> None:
        self._body.append(_END)


def _label(name: str, label_id: int) -> bytes:
    """The member that tells a sample's label."""
    digits = str(label_id).encode("ascii")
    return _header(f"{name}.cls", len(digits)) + digits.ljust(BLOCK_BYTES, b"\0")


def _header(name: str, size: int) -> bytes:
    """A regular file, rw-r--r--, of nobody and of no time. Its checksum is left to the kernel."""
    fields = (
        (name, 100),
        *(("0000644", 8), ("0000000", 8), ("0000000", 8)),  # mode, owner, group
        *((f"{size:011o}", 12), ("00000000000", 12)),  # size, time
        *((" " * CHECKSUM_FIELD, CHECKSUM_FIELD), ("0", 1), ("", 100)),  # kind, target of a link
        *(("ustar", 6), ("00", 2), ("", 32), ("", 32)),  # version, names of owner and group
        *(("0000000", 8), ("0000000", 8), ("", 167)),  # device, rest of a long name
    )
    return b"".join(text.encode("ascii").ljust(size, b"\0") for text, size in fields)


def _whole_blocks(size: int) -> int:
    return size + -size % BLOCK_BYTES


def _template(data: bytes) -> npt.NDArray[np.uint8]:
    """Bytes for a kernel to count up and copy from."""
    return np.frombuffer(data + bytes(SLACK), np.uint8).copy()
