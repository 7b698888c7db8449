"""Which batch the decoder always runs on: the smallest that is nearly as fast as any."""

import time
from collections.abc import Mapping

from export.card import card_of
from export.checkpoint import Checkpoint
from export.to_onnx import to_onnx
from service.contract.shard import BLOCK
from workers.decoder import Decoder
from workers.latents import draw_latents

#: Powers of two up to a block, so that batches never straddle two blocks.
BATCH_SIZES = tuple(2**power for power in range(BLOCK.bit_length()))

#: Small batches waste little on a short tail, so a tenth of the speed is given for them.
NEAR_BEST = 0.9

#: The best of several rounds: neighbours on the machine make a round slower, never faster.
ROUNDS = 7


def measured_batch_size(checkpoint: Checkpoint) -> int:
    """The smallest power of two within 10 % of the best throughput, on one CPU thread."""
    return smallest_near_best(images_per_s(checkpoint))


def smallest_near_best(throughput: Mapping[int, float]) -> int:
    """The smallest key of {batch size: images per second} that reaches NEAR_BEST of the best."""
    enough = NEAR_BEST * max(throughput.values())
    return min(size for size, speed in throughput.items() if speed >= enough)


def images_per_s(checkpoint: Checkpoint) -> dict[int, float]:
    """Images per second for every allowed batch size, decoded as a worker decodes."""
    onnx = to_onnx(checkpoint, batch_size=None)
    cards = [card_of(checkpoint, onnx, name="measured", batch_size=size) for size in BATCH_SIZES]
    decoders = [Decoder(onnx, card) for card in cards]
    # Sizes take turns, so that a slow moment of the machine does not fall on one of them.
    rounds = [[_seconds(decoder) for decoder in decoders] for _ in range(ROUNDS)]
    fastest = [min(times) for times in zip(*rounds, strict=True)]
    return {size: BLOCK / best for size, best in zip(BATCH_SIZES, fastest, strict=True)}


def _seconds(decoder: Decoder) -> float:
    latents = draw_latents(0, 0, BLOCK, decoder.card.latent_dim)
    begun = time.perf_counter()
    decoder.decode(latents, next(iter(decoder.card.labels), None))
    return time.perf_counter() - begun
