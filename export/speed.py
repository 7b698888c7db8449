"""How fast decoders draw on one CPU thread, with nothing around them."""

import time
from collections.abc import Sequence

from service.contract.shard import BLOCK
from workers.decoder import Decoder
from workers.latents import draw_latents

#: The best of several rounds: neighbours on the machine make a round slower, never faster.
ROUNDS = 7


def images_per_s(decoders: Sequence[Decoder], *, rounds: int = ROUNDS) -> list[float]:
    """Images per second of each, decoded as a worker decodes, a block at a time."""
    # They take turns, so that a slow moment of the machine does not fall on one of them.
    times = [[_seconds(decoder) for decoder in decoders] for _ in range(rounds)]
    return [BLOCK / min(of_one) for of_one in zip(*times, strict=True)]


def _seconds(decoder: Decoder) -> float:
    latents = draw_latents(0, 0, BLOCK, decoder.card.latent_dim)
    begun = time.perf_counter()
    decoder.decode(latents, next(iter(decoder.card.labels), None))
    return time.perf_counter() - begun
