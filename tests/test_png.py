"""PNG files open everywhere: Pillow, OpenCV and pngcheck read them, and every pixel is the one put in."""

import io
import zlib
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.card import ImageShape
from service.contract.recipe import Compression
from tests.fixtures.contents import KINDS, Bytes, contents, digits
from tests.fixtures.pngcheck import Pngcheck, installed_pngcheck
from workers.kernel.deflate import MAX_BYTES
from workers.png import PngEncoder, png_encoder

compressions = st.sampled_from(list(Compression))
#: Widths and heights at the kernel's words of 64 bytes, the largest images of a card, and those between encoders.
SHAPES = [
    *((1, 1, 1), (1, 1, 3), (8, 8, 1), (28, 28, 1), (28, 28, 3), (64, 63, 1), (80, 65, 3)),
    *((1, 1024, 1), (1024, 1, 3), (250, 255, 1), (63, 1024, 1), (64, 1024, 1)),
]
assert 63 * 1025 <= MAX_BYTES < 64 * 1025


@st.composite
def batches(draw: st.DrawFn) -> Bytes:
    """uint8 [n, H, W, C], grey and RGB, of every kind."""
    sides = st.integers(1, 80)
    shape = draw(st.tuples(st.integers(1, 3), sides, sides, st.sampled_from([1, 3])))
    return draw(contents(shape))


def encoder_of(images: Bytes, compression: Compression) -> PngEncoder:
    height, width, channels = images.shape[1:]
    return png_encoder(ImageShape(height=height, width=width, channels=channels), compression)


def encoded(encoder: PngEncoder, images: Bytes) -> list[bytes]:
    """The files, each with the checksum and within the size that the encoder tells."""
    files = encoder.encode(images)
    ends = files.ends[: len(images) + 1].tolist()
    cut = [files.data[start:stop].tobytes() for start, stop in pairwise(ends)]
    assert files.crcs[: len(images)].tolist() == list(map(zlib.crc32, cut))
    assert max(map(len, cut)) <= encoder.largest
    return cut


def by_pillow(file: bytes) -> Bytes:
    """uint8 [H, W, C]."""
    with Image.open(io.BytesIO(file)) as image:
        assert (image.format, image.mode) in (("PNG", "L"), ("PNG", "RGB"))
        return np.atleast_3d(np.asarray(image))


def by_opencv(file: bytes) -> Bytes:
    """uint8 [H, W, C]; OpenCV holds colours as blue, green, red."""
    image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.atleast_3d(image)[..., ::-1]


def check(images: Bytes, compression: Compression) -> list[bytes]:
    files = encoded(encoder_of(images, compression), images)
    for image, file in zip(images, files, strict=True):
        assert np.array_equal(by_pillow(file), image)
        assert np.array_equal(by_opencv(file), image)
    return files


@settings(max_examples=400)
@given(batches(), compressions)
def test_pillow_and_opencv_read_back_every_pixel(images: Bytes, compression: Compression) -> None:
    """Of any shape, grey and RGB: black, white, noise, runs of every length, smooth strokes."""
    check(images, compression)


@pytest.fixture(scope="module")
def pngcheck() -> Pngcheck:
    return installed_pngcheck()


def test_pngcheck_finds_nothing(pngcheck: Pngcheck, tmp_path: Path) -> None:
    """The same for files of every shape, kind and compression; Pillow and OpenCV read these too."""
    rng = np.random.default_rng(1)
    for number, shape in enumerate(SHAPES):
        for kind, make in KINDS.items():
            for compression in Compression:
                (file,) = check(make(rng, (1, *shape)), compression)
                (tmp_path / f"{number}-{kind}-{compression.value}.png").write_bytes(file)
    assert len(list(tmp_path.iterdir())) == len(SHAPES) * len(KINDS) * len(Compression)
    assert pngcheck.complaints(tmp_path) == ""


@pytest.mark.parametrize("place", [20, 45, -5])
def test_pngcheck_would_find_a_wrong_byte(pngcheck: Pngcheck, tmp_path: Path, place: int) -> None:
    """In the header, in the stream, in the end."""
    (file,) = encoded(encoder_of(digits(1), Compression.FAST), digits(1))
    broken = bytearray(file)
    broken[place] ^= 1
    (tmp_path / "broken.png").write_bytes(broken)
    assert "broken.png" in pngcheck.complaints(tmp_path)


@given(batches(), compressions, st.data())
def test_an_encoder_keeps_nothing_of_earlier_batches(
    images: Bytes, compression: Compression, draw: st.DataObject
) -> None:
    """A file follows from its image alone: not from the batch it came in, its size or the one before it."""
    encoder = encoder_of(images, compression)
    earlier = draw.draw(contents((draw.draw(st.integers(1, 5)), *images.shape[1:])))
    together = encoded(encoder, images)
    encoded(encoder, earlier)
    alone = [encoded(encoder, images[number : number + 1])[0] for number in range(len(images))]
    assert alone == together


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compression", list(Compression))
def test_images_may_lie_in_memory_as_they_like(compression: Compression, channels: int) -> None:
    """Read-only, with gaps, turned around: only their pixels count."""
    images = np.repeat(digits(6), channels, axis=3)
    wanted = check(images[::2], compression)
    frozen = images[::2].copy()
    frozen.flags.writeable = False
    for other in (images[::2], frozen, np.asfortranarray(images)[::2]):
        assert encoded(encoder_of(images, compression), other) == wanted


@pytest.mark.parametrize("channels", [1, 3])
def test_compressions_differ_in_size_only(channels: int) -> None:
    """Of digits, `small` is smaller than `fast`, and `fast` less than half of `none`."""
    images = np.repeat(digits(32), channels, axis=3)
    none, fast, small = (
        sum(map(len, check(images, level)))
        for level in (Compression.NONE, Compression.FAST, Compression.SMALL)
    )
    assert small < fast < none / 2


@given(batches())
def test_no_file_is_much_larger_than_a_stored_one(images: Bytes) -> None:
    """Noise costs a stored block's header at most, whichever encoder makes it."""
    for compression in (Compression.FAST, Compression.SMALL):
        encoder, lines = encoder_of(images, compression), images[0].nbytes + images.shape[1]
        assert max(map(len, encoded(encoder, images))) <= 57 + 6 + lines + 5 * (1 + lines // 16384)


def test_versions_name_who_made_the_bytes() -> None:
    """Grey files come from the kernel alone; RGB and `small` name their compressor and its version too."""
    grey, colour = digits(1), np.repeat(digits(1), 3, axis=3)
    kernel = encoder_of(grey, Compression.FAST).version
    assert kernel == encoder_of(grey, Compression.NONE).version
    assert encoder_of(colour, Compression.FAST).version.startswith(f"{kernel} isal-")
    assert encoder_of(grey, Compression.SMALL).version.startswith(f"{kernel} zlib-ng-")
