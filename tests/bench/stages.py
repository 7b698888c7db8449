"""Every stage alone, on one core: what each would reach if it had nothing to wait for."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from service.adapters.storage_folder import FolderStorage
from service.contract.card import DecoderCard
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, DEFAULT_SHARD_SIZE, Shard
from tests.bench.served import label_of
from workers.archives import new_archive
from workers.body import Body
from workers.checksums import Checksums
from workers.decoder import Decoder, Images
from workers.kernel.normals import draw_block
from workers.latents import draw_latents
from workers.png import png_encoder

N = DEFAULT_SHARD_SIZE


def rate(work: Callable[[], object], *, runs: int = 5) -> float:
    """Images per second of the best of a few runs over a shard: the machine is noisy, and noise only slows."""
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return N / best


def stages(onnx: bytes, card: DecoderCard) -> dict[str, float]:
    """Images per second on one core, by stage."""
    decoder, label = Decoder(onnx, card), label_of(card)
    latents = draw_latents(1, 0, N, card.latent_dim)
    batches = [images.copy() for images in decoder.batches(latents, label)]
    found = {
        "latents": rate(
            lambda: [draw_block(1, at // BLOCK, card.latent_dim) for at in range(0, N, BLOCK)]
        ),
        "decode": rate(lambda: [None for _ in decoder.batches(latents, label)]),
        "PNG": rate(lambda: _encoded(batches, card)),
    }
    body = Body()
    for format in Format:
        recipe = Recipe(decoder=card.digest, label=label, seed=1, format=format, shard_size=N)
        found[f"{format}, PNG included" if format != Format.NPZ else "npz"] = rate(
            lambda recipe=recipe: _archived(batches, recipe, card, body)  # type: ignore[misc]
        )
    recipe = Recipe(decoder=card.digest, label=label, seed=1, format=Format.ZIP, shard_size=N)
    _archived(batches, recipe, card, body)
    found["both checksums of a zip"] = rate(lambda: _hashed(batches, body))
    found["folder storage of a zip"] = _stored_rate(body)
    return found


def _encoded(batches: list[Images], card: DecoderCard) -> None:
    encoder = png_encoder(card.image, Compression.FAST)
    for images in batches:
        encoder.encode(images)


def _archived(batches: list[Images], recipe: Recipe, card: DecoderCard, body: Body) -> None:
    archive = new_archive(recipe, Shard(index=0, start=0, stop=N), card, body)
    for images in batches:
        archive.add(images)
    archive.finish()


class _Grown:
    """A body that is there already, shown as it grew."""

    def __init__(self, whole: Body) -> None:
        self._whole, self.size = whole, 0

    def view(self, start: int = 0) -> memoryview:
        return self._whole.view()[start : self.size]


def _hashed(batches: list[Images], body: Body) -> None:
    grown = _Grown(body)
    samples, image_bytes = sum(map(len, batches)), batches[0][0].nbytes
    checksums = Checksums(grown, samples=samples, image_bytes=image_bytes)  # type: ignore[arg-type]
    for number, images in enumerate(batches, 1):
        grown.size = body.size * number // len(batches)
        checksums.update(images)
    checksums.finish()


def _stored_rate(body: Body) -> float:
    """Wall time, most of it the disk's: another shard is made meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        storage, numbers = FolderStorage(Path(folder)), iter(range(1000))
        return rate(lambda: storage.create(f"shards/{next(numbers)}", body.view(), metadata={}))
