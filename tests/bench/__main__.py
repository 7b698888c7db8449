"""`make bench`: every stage alone and the whole, in images per second and as ratios to the bare decoder.

One run on one machine; only the ratios travel. Writes the same figures to bench.json.
"""

import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from latentmill import Client
from PIL import Image

from export.publish import read_bundled
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import DEFAULT_SHARD_SIZE, Shard
from service.local.bare import bare_rate
from workers.archives import new_archive
from workers.decoder import Decoder, Images
from workers.latents import draw_latents
from workers.png import encode_png

N = DEFAULT_SHARD_SIZE
END_TO_END = 200_000
LABEL = "3"


def rate(work: Callable[[], object], *, samples: int = N, runs: int = 3) -> float:
    """Images per second of the best of a few runs: the machine is noisy, and noise only slows."""
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return samples / best


def plain_script(decoder: Decoder) -> None:
    """What one would write without Latentmill: ONNX Runtime, Pillow, zipfile."""
    card = decoder.card
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        images = decoder.decode(draw_latents(1, 0, 2048, card.latent_dim), LABEL)
        for index, image in enumerate(images):
            buffer = io.BytesIO()
            Image.fromarray(image[..., 0]).save(buffer, "PNG")
            archive.writestr(f"{index}.png", buffer.getvalue())


def archived(format: Format, images: Images, decoder: Decoder) -> int:
    card = decoder.card
    recipe = Recipe(decoder=card.digest, label=LABEL, seed=1, format=format, shard_size=N)
    archive = new_archive(recipe, Shard(index=0, start=0, stop=N), card)
    archive.add(images)
    return len(archive.finish())


def stages(decoder: Decoder) -> dict[str, float]:
    """One core each."""
    card = decoder.card
    latents = draw_latents(1, 0, N, card.latent_dim)
    images = decoder.decode(latents, LABEL)
    return {
        "latents": rate(lambda: draw_latents(1, 0, N, card.latent_dim)),
        "decode": rate(lambda: decoder.decode(latents, LABEL)),
        "png": rate(lambda: list(encode_png(images, card.image, Compression.FAST))),
        "zip": rate(lambda: archived(Format.ZIP, images, decoder)),
        "npz": rate(lambda: archived(Format.NPZ, images, decoder)),
        "plain script": rate(lambda: plain_script(decoder), samples=2048),
    }


def end_to_end(url: str, format: str) -> float:
    """From submit to completed, over HTTP, with as many workers as cores."""
    with Client(url) as client:
        started = time.perf_counter()
        job = client.submit("mnist", LABEL, count=END_TO_END, format=format)
        client.wait(job, poll_s=0.05)
        return END_TO_END / (time.perf_counter() - started)


def small_job_ms(url: str) -> float:
    """Median of one-image jobs, from submit to completed."""
    with Client(url) as client:
        times = []
        for _ in range(20):
            started = time.perf_counter()
            client.wait(client.submit("mnist", LABEL, count=1), poll_s=0.002)
            times.append(time.perf_counter() - started)
    return sorted(times)[10] * 1000


def measured() -> dict[str, float]:
    onnx, card = read_bundled("mnist")
    cores = os.cpu_count() or 1
    figures = {"bare decoder, all cores": bare_rate(onnx, card, LABEL, sessions=cores, seconds=3)}
    figures |= {f"{name}, one core": value for name, value in stages(Decoder(onnx, card)).items()}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "service.cli.main",
            "up",
            "--port",
            "0",
            "--data-dir",
            folder,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
            assert up.stdout is not None
            line = next(line for line in up.stdout if "http://" in line)
            url = next(word for word in line.split() if word.startswith("http://")).rstrip(".,;")
            for format in ("zip", "npz"):
                figures[f"end to end, {format}, all cores"] = end_to_end(url, format)
            figures["one-image job, ms"] = small_job_ms(url)
            up.terminate()
    return figures


def main() -> None:
    figures = measured()
    bare = figures["bare decoder, all cores"]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{'':32s}{'images/s':>12s}{'to bare':>10s}")
    for name, value in figures.items():
        share = "" if name.endswith("ms") else f"{value / bare:10.2f}"
        print(f"{name:32s}{value:12,.0f}{share}")
    Path("bench.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
