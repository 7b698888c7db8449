"""How fast the decoder is with nothing around it: what a whole service is held against."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.contract.card import DecoderCard
from workers.decoder import Decoder


def bare_rate(
    onnx: bytes, card: DecoderCard, label: str | None, *, sessions: int, seconds: float = 1.0
) -> float:
    """Images per second of as many single-threaded sessions as there are workers, all at once."""
    decoders = [Decoder(onnx, card) for _ in range(sessions)]
    deadline = time.perf_counter() + seconds
    started = time.perf_counter()
    with ThreadPoolExecutor(sessions) as pool:
        counts = list(pool.map(lambda decoder: _count_until(deadline, decoder, label), decoders))
    return sum(counts) / (time.perf_counter() - started)


def _count_until(deadline: float, decoder: Decoder, label: str | None) -> int:
    card, images = decoder.card, 0
    latents = np.random.default_rng(0).standard_normal(
        (card.batch_size, card.latent_dim), np.float32
    )
    while time.perf_counter() < deadline:
        images += sum(len(batch) for batch in decoder.batches(latents, label))
    return images
