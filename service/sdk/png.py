"""Reads the PNG files of archives with Pillow, and nothing else that Pillow could read."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contract.errors import ArchiveBroken

_LONGEST_SIDE = 1024


def read_png(data: bytes) -> npt.NDArray[np.uint8]:
    """The pixels, uint8 [H, W, C], grey or RGB. Raises ArchiveBroken for anything else than such a file."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            # Before the pixels are unpacked: a few bytes may announce gigabytes.
            if image.mode not in ("L", "RGB") or max(image.size) > _LONGEST_SIDE:
                raise ArchiveBroken(f"a {image.mode} PNG file of {image.size} is none of ours")
            pixels = np.asarray(image)
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ArchiveBroken(f"not a PNG file: {error}") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels
