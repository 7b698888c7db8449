"""What fewer bits give and take: bytes, speed and pixels of each variant, measured in turns."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from export.speed import ROUNDS, images_per_s
from export.variants import variant
from service.contract.card import DecoderCard, Precision
from service.contract.shard import BLOCK
from service.contract.value import sha256_hex
from workers.decoder import Decoder, Images
from workers.latents import draw_latents

SEED = 0


@dataclass(frozen=True)
class LevelsApart:
    """How far the pixels of two decoders lie apart, in grey levels, over a block of every label."""

    largest: int
    mean: float


@dataclass(frozen=True)
class PrecisionFigures:
    """One variant against fp32, on one CPU thread of this machine."""

    precision: Precision
    size_bytes: int
    images_per_s: float
    speed_to_fp32: float
    apart: LevelsApart


def in_precision(
    decoder: bytes, card: DecoderCard, precision: Precision
) -> tuple[bytes, DecoderCard]:
    """A decoder of fp32 and its card in another precision. Raises ExportFailed."""
    converted = variant(decoder, precision)
    facts = {"digest": sha256_hex(converted), "size_bytes": len(converted)}
    return converted, card.model_copy(update=facts | {"precision": precision})


def precision_report(
    decoder: bytes, card: DecoderCard, *, rounds: int = ROUNDS
) -> tuple[PrecisionFigures, ...]:
    """Figures of fp32, fp16 and int8, in this order. `decoder` is in fp32. Raises ExportFailed."""
    files = [in_precision(decoder, card, precision) for precision in get_args(Precision)]
    decoders = [Decoder(file, told) for file, told in files]
    speeds = images_per_s(decoders, rounds=rounds)
    reference = _images(decoders[0])
    return tuple(
        _figures(decoder, speed, speeds[0], reference)
        for decoder, speed in zip(decoders, speeds, strict=True)
    )


def _figures(
    decoder: Decoder, speed: float, speed_fp32: float, reference: Images
) -> PrecisionFigures:
    return PrecisionFigures(
        precision=decoder.card.precision,
        size_bytes=decoder.card.size_bytes,
        images_per_s=speed,
        speed_to_fp32=speed / speed_fp32,
        apart=_apart(_images(decoder), reference),
    )


def _apart(images: Images, reference: Images) -> LevelsApart:
    apart = np.abs(images.astype(np.int16) - reference.astype(np.int16))
    return LevelsApart(largest=int(apart.max()), mean=float(apart.mean()))


def _images(decoder: Decoder) -> Images:
    """uint8 [labels * BLOCK, H, W, C]."""
    latents = draw_latents(SEED, 0, BLOCK, decoder.card.latent_dim)
    labels = decoder.card.labels or (None,)
    return np.concatenate([decoder.decode(latents, label) for label in labels])
