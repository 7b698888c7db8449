"""PNG by Pillow into archives by zipfile, one image after another; and a look at what was written."""

import io
import zipfile
from pathlib import Path
from typing import Any

from errand import Errand
from PIL import Image

#: Images of each folder that are opened again.
OPENED = 5


def encode_png(image: Any, level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def write_zip(errand: Errand, start: int, images: Any) -> Path:
    """One archive of `{label}/{index}.png`, not compressed again. Returns its path."""
    path = errand.out / f"{start:012d}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index, image in enumerate(images, start):
            png = encode_png(image, errand.png_level)
            archive.writestr(f"{errand.label}/{index:012d}.png", png)
    return path


def check_zips(errand: Errand) -> int:
    """Every index once, and some images that open. Returns the bytes written, or ends with what is wrong."""
    names: list[str] = []
    for path in sorted(errand.out.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            names += archive.namelist()
            for name in archive.namelist()[:: max(1, len(archive.namelist()) // OPENED)]:
                check_png(archive.read(name), errand)
    check_indexes([int(Path(name).stem) for name in names], errand)
    return sum(path.stat().st_size for path in errand.out.glob("*.zip"))


def check_indexes(indexes: list[int], errand: Errand) -> None:
    if sorted(indexes) != list(range(errand.count)):
        raise SystemExit(f"{len(set(indexes))} of {errand.count} images were written")


def check_png(png: bytes, errand: Errand) -> None:
    shape = errand.card["image"]
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        if image.format != "PNG" or image.size != (shape["width"], shape["height"]):
            raise SystemExit(f"a {image.format} of {image.size} was written")
        if image.convert("L").getextrema()[1] == 0:
            raise SystemExit("a black image was written")
