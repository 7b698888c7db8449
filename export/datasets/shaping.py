"""The size and channels that images are brought to, if they are to be other than they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from export.data import DataSet, Split
from export.idx import Bytes
from service.contract.card import ImageShape
from service.contract.errors import DataSetInvalid

MOST_SIDE = 1024
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Shaping:
    """`size` (height, width) in pixels and `channels` (1 grey, 3 RGB); None leaves them alone."""

    size: tuple[int, int] | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        """Raises DataSetInvalid for a size or a number of channels that no decoder can have."""
        if self.size is not None and not all(1 <= side <= MOST_SIDE for side in self.size):
            height, width = self.size
            raise DataSetInvalid(f"size {height} x {width}: each side is from 1 to {MOST_SIDE}")
        if self.channels not in (None, *_MODES):
            raise DataSetInvalid(f"{self.channels} channels: 1 (grey) or 3 (RGB)")


def shaped_picture(picture: Image.Image, shaping: Shaping) -> Image.Image:
    """An 8-bit grey or RGB picture as `shaping` wants it.

    The largest centred part with the wanted proportions is kept and resampled (Lanczos, which
    averages when it shrinks): nothing is stretched, and nothing is padded.
    """
    if shaping.channels is not None and picture.mode != _MODES[shaping.channels]:
        picture = picture.convert(_MODES[shaping.channels])
    if shaping.size is not None and picture.size != shaping.size[::-1]:
        picture = ImageOps.fit(picture, shaping.size[::-1], Image.Resampling.LANCZOS)
    return picture


def shaped(data: DataSet, shaping: Shaping) -> DataSet:
    """`data` with all its images as `shaping` wants them; the same arrays if they are so already."""
    height, width = shaping.size or (data.shape.height, data.shape.width)
    shape = ImageShape(height=height, width=width, channels=shaping.channels or data.shape.channels)
    if shape == data.shape:
        return data
    train, validation, test = (
        Split(_shaped_images(split.images, shape, shaping), split.labels)
        for split in (data.train, data.validation, data.test)
    )
    return replace(data, shape=shape, train=train, validation=validation, test=test)


def pixels(picture: Image.Image) -> Bytes:
    """A grey or RGB picture as uint8 [H, W, C]."""
    array: Bytes = np.asarray(picture, np.uint8)
    return array[..., None] if array.ndim == 2 else array


def _shaped_images(images: Bytes, shape: ImageShape, shaping: Shaping) -> Bytes:
    out = np.empty((len(images), shape.height, shape.width, shape.channels), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        out[row] = pixels(shaped_picture(picture, shaping))
    return out


def size_in_words(shape: Sequence[int]) -> str:
    """[H, W, C] for people."""
    height, width, channels = shape
    return f"{height} x {width} pixels, {'grey' if channels == 1 else 'RGB'}"
