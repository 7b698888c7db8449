"""A strip: images side by side as one PNG, for a page that needs no other file."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workers.decoder import Images

#: Smaller images are enlarged to about this many pixels a side, so that the gap stays thin beside them.
_LEAST_SIDE = 28
_GAP = 2


@dataclass(frozen=True)
class Strip:
    """A row of a gallery: what stands before it, the picture in words, the PNG, its number of images."""

    title: str
    alt: str
    png: bytes
    images: int

    @property
    def data_uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def strip(images: Images, *, title: str, alt: str) -> Strip:
    """uint8 [n, H, W, C] -> a row with transparent gaps, so that it fits a light and a dark page."""
    return Strip(title, alt, _png(_row(images)), len(images))


def _row(images: Images) -> Images:
    """[n, H, W, C] -> [H', W', C + 1], the last channel opaque where an image is."""
    factor = -(-_LEAST_SIDE // max(images.shape[1:3]))
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = large.shape
    tiles = np.zeros((count, height, width + _GAP, channels + 1), np.uint8)
    tiles[:, :, :width, :channels], tiles[:, :, :width, channels] = large, 255
    row: Images = tiles.swapaxes(0, 1).reshape(height, -1, channels + 1)[:, :-_GAP]
    return row


def _png(pixels: Images) -> bytes:
    """[H, W, 2] grey or [H, W, 4] RGB, with opacity."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
