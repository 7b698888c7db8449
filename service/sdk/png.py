"""Reads the PNG files of archives with Pillow, and nothing else that Pillow could read."""

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contract.errors import ArchiveBroken

_LONGEST_SIDE = 1024
#: Behind the signature and the name of the first chunk, IHDR, stand width and height.
_SIZE_AT = 16


def read_png(data: bytes) -> npt.NDArray[np.uint8]:
    """The pixels, uint8 [H, W, C], grey or RGB. Raises ArchiveBroken for anything else than such a file."""
    try:
        _refuse_size(struct.unpack_from(">II", data, _SIZE_AT))
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            # Before the pixels are unpacked: a few bytes may announce gigabytes.
            _refuse_size(image.size)
            if image.mode not in ("L", "RGB"):
                raise ArchiveBroken(f"a {image.mode} PNG file is none of ours")
            pixels = np.asarray(image)
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise ArchiveBroken(f"not a PNG file: {error}") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _refuse_size(size: tuple[int, ...]) -> None:
    if max(size) > _LONGEST_SIDE:
        raise ArchiveBroken(f"a PNG file of {size} is none of ours")
