"""Make one shard: latents, images, archive, checksums. A pure function of recipe, shard and profile."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from service.contract.manifest import Profile, ShardRecord
from service.contract.request import ResolvedRequest
from service.contract.shard import BLOCK, Shard
from service.contract.value import sha256_hex
from workers.archives import new_archive
from workers.decoder import Decoder, profile_of
from workers.latents import draw_latents
from workers.png import ENCODER


@dataclass(frozen=True)
class Made:
    data: bytes
    record: ShardRecord


def make_shard(
    decoder: Decoder,
    request: ResolvedRequest,
    shard: Shard,
    *,
    device: str,
    keep: Callable[[], None],
) -> Made:
    """The archive of one shard and its record: a pure function of recipe, shard and profile.

    `keep` is called after every block; what it raises ends the work.
    """
    card, recipe = decoder.card, request.recipe
    archive, pixels = new_archive(recipe, shard, card), hashlib.sha256()
    for start in range(shard.start, shard.stop, BLOCK):
        stop = min(start + BLOCK, shard.stop)
        latents = draw_latents(
            recipe.seed, start, stop, card.latent_dim, temperature_milli=recipe.temperature_milli
        )
        images = decoder.decode(latents, recipe.label)
        pixels.update(images.data)
        archive.add(images)
        keep()
    data = archive.finish()
    record = ShardRecord(
        samples=shard.samples,
        size_bytes=len(data),
        sha256=sha256_hex(data),
        pixels_sha256=pixels.hexdigest(),
        profile=Profile(decoder=card.digest, encoder=ENCODER, **profile_of(device)),
    )
    return Made(data, record)
