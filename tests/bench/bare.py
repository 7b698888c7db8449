"""The bare decoder: ONNX Runtime and nothing else, in the better of the two ways to use all cores."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from service.contract.card import DecoderCard
from service.local.stack import cores
from workers.decoder import Decoder, LabelIds, Latents


def bare_rates(onnx: bytes, card: DecoderCard, *, seconds: float) -> dict[str, float]:
    """Images per second at the card's batch, by how the cores were used."""
    return {
        "one session on all cores": _rate(onnx, card, sessions=1, threads=cores(), seconds=seconds),
        "one session per core": _rate(onnx, card, sessions=cores(), threads=1, seconds=seconds),
    }


def _rate(onnx: bytes, card: DecoderCard, *, sessions: int, threads: int, seconds: float) -> float:
    decoders = [Decoder(onnx, card, threads=threads) for _ in range(sessions)]
    latents = np.random.default_rng(0).standard_normal(
        (card.batch_size, card.latent_dim), np.float32
    )
    labels = np.zeros(card.batch_size, np.int64)
    started = time.perf_counter()
    with ThreadPoolExecutor(sessions) as pool:
        drawn = pool.map(lambda each: _draw(each, latents, labels, started + seconds), decoders)
        return sum(drawn) / (time.perf_counter() - started)


def _draw(decoder: Decoder, latents: Latents, labels: LabelIds, until: float) -> int:
    images = 0
    while time.perf_counter() < until:
        decoder.draw(latents, labels)
        images += len(labels)
    return images
