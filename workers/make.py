"""Make one shard: latents, images, archive, checksums. A pure function of recipe, shard and profile."""

from collections.abc import Callable
from dataclasses import dataclass

from service.contract.manifest import Profile, ShardRecord
from service.contract.request import ResolvedRequest
from service.contract.shard import BLOCK, Shard
from workers.archives import new_archive
from workers.body import Body
from workers.checksums import Checksums
from workers.decoder import Decoder, profile_of
from workers.kernel.normals import draw_block
from workers.latents import draw_latents


@dataclass(frozen=True)
class Made:
    """A shard's archive, valid as long as nothing else is made in the same body; and its record."""

    data: memoryview
    record: ShardRecord


def make_shard(
    decoder: Decoder,
    request: ResolvedRequest,
    shard: Shard,
    body: Body,
    *,
    device: str,
    keep: Callable[[], None] = lambda: None,
) -> Made:
    """The archive of one shard, laid out in `body`, and its record: a pure function of recipe, shard and profile.

    `keep` is called after every batch; what it raises ends the work.
    """
    card, recipe = decoder.card, request.recipe
    archive = new_archive(recipe, shard, card, body)
    checksums = Checksums(body, samples=shard.samples, image_bytes=card.image.size_bytes)
    for start in range(shard.start, shard.stop, BLOCK):
        stop = min(start + BLOCK, shard.stop)
        latents = draw_latents(
            *(recipe.seed, start, stop, card.latent_dim),
            temperature_milli=recipe.temperature_milli,
            draw=draw_block,
        )
        block = slice(start - shard.start, stop - shard.start)
        labels = None if archive.label_ids is None else archive.label_ids[block]
        for images in decoder.batches(latents, labels):
            archive.add(images)
            checksums.update(images)
            keep()
    archive.finish()
    images_root, sha256 = checksums.finish()
    record = ShardRecord(
        samples=shard.samples,
        size_bytes=body.size,
        sha256=sha256,
        images_root=images_root,
        profile=Profile(decoder=card.digest, encoder=archive.encoder, **profile_of(device)),
    )
    return Made(body.view(), record)
