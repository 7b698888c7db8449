"""Has every kernel compiled, so that no job waits for a compiler."""

from itertools import product

import numpy as np

from service.contract.card import DecoderCard, ImageShape
from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from workers.archives import new_archive
from workers.body import Body
from workers.checksums import Checksums
from workers.kernel.compiling import one_at_a_time
from workers.kernel.normals import draw_block

_DIGEST = "0" * 64


def compile_kernels() -> None:
    """Write a tiny archive of every kind: half a minute the first time, a second while the compiled code is kept."""
    with one_at_a_time():
        _write_all()


def _write_all() -> None:
    draw_block(0, 0, 1)
    body, shard = Body(), Shard(index=0, start=0, stop=1)
    for channels, format, compression, mix in product(
        (1, 3), Format, Compression, (None, {"0": 1})
    ):
        shape = ImageShape(height=4, width=4, channels=channels)
        card = _card(shape)
        recipe = Recipe(
            decoder=_DIGEST,
            label=None if mix else "0",
            labels=mix,
            seed=0,
            format=format,
            compression=compression,
            shard_size=BLOCK,
        )
        images = np.zeros((1, 4, 4, channels), np.uint8)
        archive = new_archive(recipe, shard, card, body)
        checksums = Checksums(body, samples=1, image_bytes=images.nbytes)
        archive.add(images)
        checksums.update(images)
        archive.finish()
        checksums.finish()


def _card(shape: ImageShape) -> DecoderCard:
    return DecoderCard(
        name="warm",
        digest=_DIGEST,
        size_bytes=1,
        latent_dim=1,
        labels=("0",),
        image=shape,
        batch_size=1,
    )
