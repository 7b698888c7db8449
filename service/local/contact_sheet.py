"""The contact sheet: many small images as one picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.contract.card import ImageShape
from service.contract.recipe import Compression
from workers.png import encode_png

_COLUMNS, _ROWS, _GAP = 10, 10, 2
_LONGEST_SIDE = 1024


def write_contact_sheet(images: npt.NDArray[np.uint8], path: Path) -> int:
    """Write the first images, uint8 [n, H, W, C], as rows of ten; how many are on it.

    A hundred, or as many as fit into 1024 pixels a side.
    """
    _, height, width, channels = images.shape
    columns = min(_COLUMNS, max(1, _LONGEST_SIDE // (width + _GAP)))
    rows = min(_ROWS, max(1, _LONGEST_SIDE // (height + _GAP)), -(-len(images) // columns))
    tiles = np.full((rows * columns, height + _GAP, width + _GAP, channels), 255, np.uint8)
    shown = images[: len(tiles)]
    tiles[: len(shown), :height, :width] = shown
    sheet = np.concatenate(
        [
            np.concatenate(list(row), axis=1)
            for row in tiles.reshape(rows, columns, *tiles.shape[1:])
        ]
    )[: -_GAP or None, : -_GAP or None]
    shape = ImageShape(height=sheet.shape[0], width=sheet.shape[1], channels=channels)
    path.write_bytes(next(encode_png(sheet[None], shape, Compression.SMALL)))
    return len(shown)
