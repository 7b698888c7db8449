"""How fast the decoder is with nothing around it: what a whole service is held against."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.contract.card import DecoderCard
from workers.decoder import Decoder, LabelIds
from workers.latents import Latents


def bare_rate(
    onnx: bytes, card: DecoderCard, *, sessions: int, threads: int = 1, seconds: float = 1.0
) -> float:
    """Images per second of so many sessions of so many threads each, all at once, at the card's batch."""
    decoders = [Decoder(onnx, card, threads=threads) for _ in range(sessions)]
    latents = np.random.default_rng(0).standard_normal(
        (card.batch_size, card.latent_dim), np.float32
    )
    label_ids = np.zeros(card.batch_size, np.int64)
    started = time.perf_counter()
    with ThreadPoolExecutor(sessions) as pool:
        drawn = pool.map(lambda each: _draw(each, latents, label_ids, started + seconds), decoders)
        return sum(drawn) / (time.perf_counter() - started)


def _draw(decoder: Decoder, latents: Latents, label_ids: LabelIds, until: float) -> int:
    images = 0
    while time.perf_counter() < until:
        decoder.draw(latents, label_ids)
        images += len(label_ids)
    return images
