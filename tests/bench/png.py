"""`python -m tests.bench.png`: PNG files per second and core, and their bytes, against Pillow on the same images."""

import io
import os
import platform
import struct
import time
import zlib
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from export.publish import load_folder
from service.contract.card import ImageShape
from service.contract.recipe import Compression
from workers.decoder import Decoder, Images
from workers.latents import draw_latents
from workers.png import png_encoder

IMAGES, THREADS = 8192, 2
#: The best of so many runs, each of about so long.
RUNS, RUN_S = 5, 0.3
#: Makes PNG files of uint8 [n, H, W, C] and returns their bytes, all together.
Maker = Callable[[Images], int]


class PngRate(BaseModel):
    """Of the best of a few runs; `to_pillow` is the ratio of `images_per_s_per_core` to Pillow's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images_per_s_per_core: float
    bytes_per_image: float
    to_pillow: float


def png_rates(decoder_dir: Path) -> dict[str, PngRate]:
    """Each maker with its own defaults, on images of every label of the decoder."""
    batches = images_of(Decoder(*load_folder(decoder_dir)))
    found = {name: _measured(makers, batches) for name, makers in _makers(batches[0]).items()}
    pillow, _ = found["Pillow"]
    return {
        name: PngRate(
            images_per_s_per_core=round(rate),
            bytes_per_image=round(size, 1),
            to_pillow=round(rate / pillow, 2),
        )
        for name, (rate, size) in found.items()
    }


def images_of(decoder: Decoder, count: int = IMAGES) -> list[Images]:
    """Batches as a worker hands them over, a label each in turn."""
    card, found = decoder.card, []
    for start in range(0, count, card.batch_size):
        turn = len(found) % max(1, len(card.labels))
        latents = draw_latents(1, start, start + card.batch_size, card.latent_dim)
        found.append(decoder.decode(latents, card.labels[turn] if card.labels else None))
    return found


def _makers(images: Images) -> dict[str, list[Maker]]:
    """One maker for each thread that works."""
    makers = {"Pillow": [_by_pillow], "zlib, level 1": [_by_zlib]}
    # Only of the development extra.
    if find_spec("cv2"):
        makers["OpenCV"] = [_opencv()]
    makers["Latentmill"] = [_latentmill(images)]
    makers[f"Latentmill, {THREADS} threads"] = [_latentmill(images) for _ in range(THREADS)]
    return makers


def _measured(makers: Sequence[Maker], batches: list[Images]) -> tuple[float, float]:
    """Images per second and core, and bytes per image. Each maker makes all images, so its rate is one core's."""
    samples = sum(map(len, batches))
    with ThreadPoolExecutor(len(makers)) as threads:

        def seconds(passes: int) -> float:
            started = time.perf_counter()
            list(threads.map(lambda maker: [maker(batch) for batch in batches * passes], makers))
            return time.perf_counter() - started

        # The first run warms up, and tells how many passes a run needs to outlast the threads' start.
        passes = 1 + int(RUN_S / seconds(1))
        best_s = min(seconds(passes) for _ in range(RUNS))
    return passes * samples / best_s, sum(map(makers[0], batches)) / samples


def _latentmill(images: Images) -> Maker:
    shape = dict(zip(("height", "width", "channels"), images.shape[1:], strict=True))
    encoder = png_encoder(ImageShape(**shape), Compression.FAST)
    return lambda batch: int(encoder.encode(batch).ends[len(batch)])


def _opencv() -> Maker:
    import cv2

    return lambda batch: sum(len(cv2.imencode(".png", image)[1]) for image in batch)


def _by_pillow(batch: Images) -> int:
    size = 0
    for image in batch:
        buffer = io.BytesIO()
        Image.fromarray(image.squeeze(axis=2) if image.shape[2] == 1 else image).save(buffer, "PNG")
        size += len(buffer.getvalue())
    return size


def _by_zlib(batch: Images) -> int:
    """The least that a PNG file needs, around lines without a filter."""
    count, height, width, channels = batch.shape
    lines = np.zeros((count, height, 1 + width * channels), np.uint8)
    lines[:, :, 1:] = batch.reshape(count, height, -1)
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    start, end = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", ihdr), _chunk(b"IEND", b"")
    files = (start + _chunk(b"IDAT", zlib.compress(image.data, 1)) + end for image in lines)
    return sum(map(len, files))


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("--decoder", type=Path, default=Path("deploy/decoders/mnist"))
    decoder = parser.parse_args().decoder
    print(f"{decoder}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"{'':24s}{'images/s per core':>20s}{'bytes/image':>14s}{'to Pillow':>12s}")
    for name, found in png_rates(decoder).items():
        print(
            f"{name:24s}{found.images_per_s_per_core:20,.0f}"
            f"{found.bytes_per_image:14,.1f}{found.to_pillow:12.2f}"
        )


if __name__ == "__main__":
    main()
