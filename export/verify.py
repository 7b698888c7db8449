"""Does the exported decoder draw what the trained one draws? Asked by the code that workers run."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from export.checkpoint import Checkpoint
from export.to_onnx import DrawingDecoder, drawing_decoder
from service.contract.card import DecoderCard
from service.contract.errors import ExportFailed
from service.contract.shard import BLOCK
from workers.decoder import Decoder, Images
from workers.latents import Latents, draw_latents

#: Sums in another order may round to the other side; more than that is another decoder.
ALLOWED_LEVELS = 1
SEED = 0


@dataclass(frozen=True)
class Agreement:
    """How far two decoders' pixels lie apart: grey levels at most, and how many differ at all."""

    images: int
    pixels: int
    largest_difference: int
    differing_pixels: int

    @property
    def differing_share(self) -> float:
        return self.differing_pixels / self.pixels

    def __str__(self) -> str:
        return (
            f"{self.images} images, {self.differing_pixels} of {self.pixels} pixels differ "
            f"({self.differing_share:.2g}), by at most {self.largest_difference} grey levels"
        )

    def for_card(self) -> dict[str, int | float]:
        return {
            "images": self.images,
            "largest_difference_levels": self.largest_difference,
            "differing_pixels_share": float(f"{self.differing_share:.3g}"),
        }


def verify(checkpoint: Checkpoint, onnx: bytes, card: DecoderCard) -> None:
    """Refuse a graph of full precision that draws something else. Raises ExportFailed."""
    found = agreement(checkpoint, onnx, card)
    if found.largest_difference > ALLOWED_LEVELS:
        raise ExportFailed(f"ONNX and PyTorch disagree: {found}; nothing was written")


def agreement(checkpoint: Checkpoint, onnx: bytes, card: DecoderCard) -> Agreement:
    """Compare a block of images of every label."""
    return _agreement(_both(checkpoint, Decoder(onnx, card)))


def _both(checkpoint: Checkpoint, exported: Decoder) -> Iterator[tuple[Images, Images]]:
    trained = drawing_decoder(checkpoint)
    latents = draw_latents(SEED, 0, BLOCK, exported.card.latent_dim)
    for label_id, label in enumerate(exported.card.labels or (None,)):
        ids = None if label is None else torch.full((len(latents),), label_id)
        yield exported.decode(latents, label), _draw(trained, latents, ids)


@torch.no_grad()
def _draw(trained: DrawingDecoder, latents: Latents, ids: torch.Tensor | None) -> Images:
    """float32 [N, L], int64 [N] -> uint8 [N, H, W, C]."""
    images: Images = trained(torch.from_numpy(latents), ids).numpy()
    return images


def _agreement(pairs: Iterator[tuple[Images, Images]]) -> Agreement:
    images = pixels = largest = differing = 0
    for one, other in pairs:
        apart = np.abs(one.astype(np.int16) - other.astype(np.int16))
        images, pixels = images + len(one), pixels + one.size
        largest, differing = max(largest, int(apart.max())), differing + int((apart > 0).sum())
    return Agreement(images, pixels, largest, differing)
