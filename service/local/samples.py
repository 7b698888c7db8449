"""One picture of a decoder: a row per label, a column per sample; the same latents in every row."""

from pathlib import Path

import numpy as np

from service.contract.card import DecoderCard
from service.local.contact_sheet import write_sheet
from workers.decoder import Decoder
from workers.latents import draw_latents


def draw_samples(onnx: bytes, card: DecoderCard, path: Path, *, columns: int, seed: int) -> None:
    """Write samples 0 … `columns` - 1 of every label as a PNG, decoded here: no server is asked.

    Raises DecoderRefused.
    """
    decoder = Decoder(onnx, card)
    latents = draw_latents(seed, 0, columns, card.latent_dim)
    rows = [decoder.decode(latents, label) for label in card.labels or (None,)]
    write_sheet(np.concatenate(rows), path, columns=columns)
