"""Samples to be judged, drawn by the code that workers run."""

from collections.abc import Sequence

import numpy as np

from export.data import Split
from workers.decoder import Decoder, Images
from workers.latents import draw_latents

#: The labels of one set take their latents this many samples apart, so that no two samples of a set
#: share one. A multiple of the block: every label starts on a batch.
LABEL_STRIDE = 2**32


def draw(
    decoder: Decoder, label_id: int, count: int, *, seed: int, temperature_milli: int = 1000
) -> Images:
    """The first `count` samples of a label from an evaluation seed: uint8 [count, H, W, C].

    They are samples `label_id * LABEL_STRIDE` and on of the request with this seed, so more of them
    begin with fewer. An unconditional decoder has the one label id 0.
    """
    card, start = decoder.card, label_id * LABEL_STRIDE
    if not count:
        return np.empty((0, card.image.height, card.image.width, card.image.channels), np.uint8)
    latents = draw_latents(
        seed, start, start + count, card.latent_dim, temperature_milli=temperature_milli
    )
    return decoder.decode(latents, card.labels[label_id] if card.labels else None)


def draw_set(
    decoder: Decoder, counts: Sequence[int], *, seed: int, temperature_milli: int = 1000
) -> Split:
    """So many samples of each label, in the order of label ids."""
    parts = [
        draw(decoder, label_id, count, seed=seed, temperature_milli=temperature_milli)
        for label_id, count in enumerate(counts)
    ]
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return Split(np.concatenate(parts), labels)


def balanced(total: int, decoder: Decoder) -> list[int]:
    """About `total` samples, as many of each label, at least one."""
    labels = max(1, len(decoder.card.labels))
    return [max(1, total // labels)] * labels


def like(split: Split, decoder: Decoder) -> list[int]:
    """As many samples as the split has images, and of each label as many, if the decoder takes one."""
    if not decoder.card.labels:
        return [len(split)]
    return [int(n) for n in np.bincount(split.labels, minlength=len(decoder.card.labels))]
