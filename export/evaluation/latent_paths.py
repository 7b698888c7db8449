"""Ways through the space of latents that are worth looking at."""

import numpy as np

from workers.decoder import Decoder
from workers.latents import Latents


def great_circle(one: Latents, other: Latents, steps: int) -> Latents:
    """A path that keeps the length of latents: straight lines between N(0, I) draws pass near 0, where
    hardly any draw lies (White 2016, "Sampling Generative Networks", arXiv:1609.04468).
    """
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / (lengths[0] * lengths[1]), -1, 1))
    t = np.linspace(0, 1, steps)[:, None]
    if np.sin(angle) < 1e-6:
        return np.asarray((1 - t) * one + t * other, np.float32)
    path = (np.sin((1 - t) * angle) * one + np.sin(t * angle) * other) / np.sin(angle)
    return np.asarray(path, np.float32)


def most_active(decoder: Decoder, latents: Latents) -> list[int]:
    """Latent dimensions by how much pixels change between -1 and 1 in them, the most active first.

    Measured around these latents, float32 [n, L]. Dimensions that change nothing are left out.
    """
    change = np.array([_change(decoder, latents, place) for place in range(latents.shape[1])])
    return [int(place) for place in np.argsort(-change, kind="stable") if change[place] > 0]


def _change(decoder: Decoder, latents: Latents, dimension: int) -> float:
    label = decoder.card.labels[0] if decoder.card.labels else None
    low, high = latents.copy(), latents.copy()
    low[:, dimension], high[:, dimension] = -1, 1
    one, other = (decoder.decode(ends, label).astype(np.int16) for ends in (low, high))
    return float(np.abs(one - other).mean())
