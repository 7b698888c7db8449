"""The contact sheet of the demo."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.local.contact_sheet import write_contact_sheet


@pytest.mark.parametrize(
    ("shape", "shown", "size"),
    [
        ((100, 28, 28, 1), 100, (298, 298)),
        ((250, 28, 28, 3), 100, (298, 298)),
        ((12, 8, 6, 1), 12, (78, 18)),
        ((5, 1024, 1024, 3), 1, (1024, 1024)),
    ],
)
def test_a_sheet_has_rows_of_ten(
    tmp_path: Path, shape: tuple[int, int, int, int], shown: int, size: tuple[int, int]
) -> None:
    """A hundred images at most, fewer if large; each is on the sheet pixel by pixel."""
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert write_contact_sheet(images, tmp_path / "sheet.png") == shown
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == size
        pixels = np.asarray(sheet).reshape(size[1], size[0], shape[3])
    _, height, width, _ = shape
    for index in range(shown):
        top, left = index // 10 * (height + 2), index % 10 * (width + 2)
        assert np.array_equal(pixels[top : top + height, left : left + width], images[index])
