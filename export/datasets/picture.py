"""One picture file, read by Pillow: grey or RGB, 8 bits, upright; anything else is refused by name."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from service.contract.errors import DataSetInvalid
from service.contract.value import sha256_hex

#: Formats that are read, and no others: Pillow knows many that nobody keeps pictures in.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
)
#: A picture's size is in its header: a small file that would unpack to more is not unpacked.
MOST_PIXELS = 64_000_000
MOST_FILE_BYTES = 256 << 20

_GREY, _RGB = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Picture:
    """A picture in Pillow's mode L or RGB, and the sha256 of its file."""

    image: Image.Image
    sha256: str


def read_picture(path: Path) -> Picture:
    """Raises DataSetInvalid: which file, and what to do about it."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MOST_FILE_BYTES:
            raise DataSetInvalid(f"{path} has {size_bytes} bytes; at most {MOST_FILE_BYTES}")
        raw = path.read_bytes()
    except OSError as error:
        raise DataSetInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    return Picture(_eight_bits(_loaded(raw, path), path), sha256_hex(raw))


def _loaded(raw: bytes, path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns of huge pictures and of odd metadata; the first are refused below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                _check_size(image, path)
                # What a camera says about how it was held; it also loads the pixels.
                return ImageOps.exif_transpose(image)
    except DataSetInvalid:
        raise
    except Image.DecompressionBombError as error:
        raise DataSetInvalid(_too_large(path)) from error
    except UnidentifiedImageError as error:
        raise DataSetInvalid(f"{path} is no picture ({', '.join(FORMATS)} are read)") from error
    # Pillow's decoders raise whatever broken bytes lead to: OSError, SyntaxError, struct.error, …
    except Exception as error:
        raise DataSetInvalid(f"{path} cannot be read: {_in_one_line(error)}") from error


def _check_size(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataSetInvalid(_too_large(path))


def _too_large(path: Path) -> str:
    return f"{path} has more than {MOST_PIXELS:,} pixels; make it smaller first"


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    if image.mode not in (*_GREY, *_RGB):
        raise DataSetInvalid(
            f"{path} has pixels of mode {image.mode} (16 bits, floats or another colour space); "
            "save it with 8 bits, as grey or RGB"
        )
    if image.has_transparency_data and _is_transparent(image):
        raise DataSetInvalid(f"{path} has transparent pixels; put it on a background first")
    return image.convert("L" if image.mode in _GREY else "RGB")


def _is_transparent(image: Image.Image) -> bool:
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return lowest != 255


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
