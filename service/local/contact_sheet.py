"""The contact sheet: many small images as one picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

_COLUMNS, _ROWS, _GAP = 10, 10, 2
_LONGEST_SIDE = 1024


def write_contact_sheet(images: npt.NDArray[np.uint8], path: Path) -> int:
    """Write the first images, uint8 [n, H, W, C], as rows of ten; how many are on it.

    A hundred, or as many as fit into 1024 pixels a side.
    """
    _, height, width, _ = images.shape
    columns = min(_COLUMNS, max(1, _LONGEST_SIDE // (width + _GAP)))
    rows = min(_ROWS, max(1, _LONGEST_SIDE // (height + _GAP)))
    shown = images[: rows * columns]
    write_sheet(shown, path, columns=columns)
    return len(shown)


def write_sheet(images: npt.NDArray[np.uint8], path: Path, *, columns: int) -> None:
    """Write every image, uint8 [n, H, W, C], in rows of `columns` with white gaps between them."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    tiles = np.full((rows * columns, height + _GAP, width + _GAP, channels), 255, np.uint8)
    tiles[:count, :height, :width] = images
    grid = tiles.reshape(rows, columns, height + _GAP, width + _GAP, channels)
    # [rows, columns, H, W, C] -> [rows, H, columns, W, C]: lines of pixels run through a whole row.
    sheet = grid.swapaxes(1, 2).reshape(rows * (height + _GAP), columns * (width + _GAP), channels)
    sheet = np.ascontiguousarray(sheet[:-_GAP, :-_GAP])
    Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(path, "PNG", optimize=True)
