"""The PNG kernel: files as the specification has them, equal bytes for equal pixels, no byte touched outside."""

import hashlib
import os
import pkgutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from tests.fixtures.contents import Bytes, contents, digits
from workers import kernel
from workers.kernel import png
from workers.kernel.deflate import MAX_BYTES, new_desk

#: sha256 of the files of 64 digits; others need another `workers.png.KERNEL`, which is part of the profile.
GOLDEN = {
    False: "17ac158c26d4511123a9bdc241d2b083f6368fe4a20f231c1629c69becf4e5d7",
    True: "cba2f3204c26f956356c3b5709696295ee4bdcea0f681771dbe2e228670bee35",
}
PRINT_DIGEST = "from tests.test_kernel_png import digest; print(digest(stored=False))"
#: The widest and the highest images that fit, and one of every byte between.
EXTREMES = ((1, MAX_BYTES - 1), (1, 60_000), (MAX_BYTES // 2, 1), (250, 255), (63, 1024), (1, 1))


def pictures(*, most: int = 3) -> st.SearchStrategy[Bytes]:
    """uint8 [n, H, W, 1] of small shapes and of every kind."""
    sides = st.integers(1, 80)
    return st.tuples(st.integers(1, most), sides, sides, st.just(1)).flatmap(contents)


def encoded(pixels: Bytes, *, stored: bool = False, dirt: int = 0, gap: int = 0) -> list[bytes]:
    """The files of uint8 [n, H, W, 1], written with gaps; scratch memory holds `dirt`."""
    height, width = pixels.shape[1:3]
    frame, desk = png.new_frame(height, width), new_desk(height * (width + 1))
    files = png.new_files(len(pixels), frame)
    files = files._replace(data=np.empty(files.data.size + len(pixels) * gap, np.uint8))
    for scratch in (*desk, files.data):
        scratch[:] = dirt
    end = png.put_files(pixels.reshape(-1), frame, desk, stored, gap, files)
    cut = [files.data[start + gap : stop].tobytes() for start, stop in pairwise(files.ends)]
    assert end == sum(map(len, cut)) + gap * len(cut)
    assert files.crcs.tolist() == list(map(zlib.crc32, cut))
    assert max(map(len, cut)) <= png.largest_file(frame)
    return cut


def chunks_of(file: bytes) -> list[tuple[bytes, bytes]]:
    """Types and data in order; fails at a wrong signature or checksum (RFC 2083, 3)."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        data = file[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", file, at + 8 + size) == (zlib.crc32(kind + data),)
        found.append((kind, data))
        at += 12 + size
    assert at == len(file)
    return found


def check(image: Bytes, file: bytes) -> None:
    """One grey image, one zlib stream that ends with its chunk, lines of filter type 0, those pixels."""
    height, width, _ = image.shape
    (ihdr, header), (idat, data), end = chunks_of(file)
    assert (ihdr, idat, end) == (b"IHDR", b"IDAT", (b"IEND", b""))
    assert header == struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    inflate = zlib.decompressobj()
    lines = np.frombuffer(inflate.decompress(data), np.uint8).reshape(height, 1 + width)
    assert inflate.eof
    assert not inflate.unused_data
    assert not lines[:, 0].any()
    assert (lines[:, 1:] == image[..., 0]).all()


@settings(max_examples=250)
@given(pictures(), st.booleans())
def test_files_are_what_the_specification_says(pixels: Bytes, stored: bool) -> None:
    """Chunk by chunk, with Python's zlib and struct alone; CRC-32 and largest size of each are told right."""
    for image, file in zip(pixels, encoded(pixels, stored=stored), strict=True):
        check(image, file)


@pytest.mark.parametrize("shape", EXTREMES)
@pytest.mark.parametrize("stored", [False, True])
def test_the_largest_images_that_fit(shape: tuple[int, int], stored: bool) -> None:
    """Positions are uint16, and a stored block's length is too."""
    assert png.fits(*shape, 1)
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (2, *shape, 1), np.uint8)
    for pixels in (noise, noise & 128, np.zeros_like(noise)):
        for image, file in zip(pixels, encoded(pixels, stored=stored), strict=True):
            check(image, file)


def test_larger_images_and_colour_do_not_fit() -> None:
    """They are another encoder's."""
    assert not png.fits(1, MAX_BYTES, 1)
    assert not png.fits(MAX_BYTES // 2 + 1, 1, 1)
    assert not png.fits(1024, 1024, 1)
    assert not png.fits(8, 8, 3)


@given(pictures())
def test_no_file_is_larger_than_a_stored_one(pixels: Bytes) -> None:
    """Where codes would take more than the bytes themselves, the bytes are stored."""
    stored = encoded(pixels, stored=True)
    assert all(len(a) <= len(b) for a, b in zip(encoded(pixels), stored, strict=True))


@given(pictures(most=5), st.booleans(), st.integers(1, 255), st.integers(0, 200))
def test_a_file_follows_from_its_image_alone(
    pixels: Bytes, stored: bool, dirt: int, gap: int
) -> None:
    """Neither the images beside it, the gap between them, nor what memory held before decides a byte."""
    together = encoded(pixels, stored=stored, gap=gap)
    for number, file in enumerate(together):
        assert encoded(pixels[number : number + 1], stored=stored, dirt=dirt) == [file]


def digest(*, stored: bool) -> str:
    return hashlib.sha256(b"".join(encoded(digits(64), stored=stored))).hexdigest()


@pytest.mark.parametrize("stored", [False, True])
def test_golden_files(stored: bool) -> None:
    """Equal bytes on every machine, and in every version that names its kernel alike."""
    assert digest(stored=stored) == GOLDEN[stored]


@pytest.mark.slow
def test_a_plain_processor_writes_the_golden_files() -> None:
    """Without vector and checksum instructions the same bytes come about by other ways."""
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST],
        env=os.environ | {"NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == GOLDEN[False], ended.stderr


def fenced(case: str) -> "subprocess.CompletedProcess[str]":
    """A process that runs kernels on arrays with forbidden pages before and behind them."""
    command = [sys.executable, "-m", "tests.fixtures.fenced", case]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("case", ["png", "stream", "zip", "mixed zip", "tar", "sha256", "filters"])
def test_kernels_stay_within_their_arrays(case: str) -> None:
    """With arrays of just the promised sizes, nothing is read or written past either end."""
    ended = fenced(case)
    assert ended.returncode == 0, ended.stderr


def test_a_step_outside_would_kill() -> None:
    """The fences stand: two bytes past an array's end are the end of the process."""
    assert fenced("past the end").returncode in (-signal.SIGSEGV, -signal.SIGBUS)


def turns_during(work: Callable[[], object]) -> int:
    """How often another thread had its turn while `work` ran."""
    turns, over = 0, threading.Event()

    def count() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            time.sleep(0)

    other = threading.Thread(target=count)
    other.start()
    before = turns
    work()
    during = turns - before
    over.set()
    other.join()
    return during


def test_other_threads_run_during_a_batch() -> None:
    """The GIL is free while the kernel works, and would not be otherwise: nobody is asked for it here."""
    interval_s = sys.getswitchinterval()
    pixels = np.tile(digits(64), (500, 1, 1, 1))
    frame, desk = png.new_frame(28, 28), new_desk(28 * 29)
    files = png.new_files(len(pixels), frame)
    sys.setswitchinterval(600)
    try:
        assert turns_during(lambda: sum(range(1_000_000))) == 0
        assert turns_during(lambda: png.put_files(pixels.reshape(-1), frame, desk, False, 0, files))
    finally:
        sys.setswitchinterval(interval_s)


def test_every_kernel_frees_the_gil() -> None:
    """One that held it would stop the decoder's thread, heartbeats and all."""
    found = {
        f"{module.name}.{name}": value.targetoptions.get("nogil")
        for module in pkgutil.iter_modules(kernel.__path__)
        for name, value in vars(import_module(f"{kernel.__name__}.{module.name}")).items()
        if isinstance(value, Dispatcher)
    }
    assert {"png.put_files", "stream.put_runs", "zip.put_headers"} <= set(found)
    assert set(found.values()) == {True}, found
