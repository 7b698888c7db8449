"""A decoder on trial: as workers load it, drawing what jobs would ask of it."""

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto

from service.contract.card import DecoderCard
from service.contract.errors import DecoderRefused
from service.contract.value import sha256_hex
from workers.decoder import Decoder, Images, LabelIds
from workers.latents import Latents, draw_latents

SEED = 0

#: Fewest images that a property is tried on, in as many batches as they fill.
_FEWEST = 256


class Trial:
    """One decoder as workers load it, and once more on two threads."""

    def __init__(self, model: ModelProto, file: bytes, card: DecoderCard) -> None:
        self.model, self.card = model, card
        self.decoder = Decoder(file, card)
        self.on_two_threads = Decoder(file, card, threads=2)

    def latents(self, batches: int = 1, temperature: float = 1.0) -> Latents:
        """float32 [batches * batch, latent_dim], as a job's samples get them."""
        drawn = draw_latents(SEED, 0, batches * self.card.batch_size, self.card.latent_dim)
        return drawn * np.float32(temperature)

    def label_ids(self, batches: int = 1) -> LabelIds:
        """int64 [batches * batch]: all labels in turn."""
        return np.arange(batches * self.card.batch_size) % max(1, len(self.card.labels))

    @property
    def batches(self) -> int:
        """Batches that hold every label."""
        return -(-max(_FEWEST, len(self.card.labels)) // self.card.batch_size)

    def draw(self, latents: Latents, label_ids: LabelIds, *, threads: int = 1) -> Iterator[Images]:
        """uint8 [batch, H, W, C] for each batch of rows. Raises DecoderRefused for another shape."""
        decoder = self.decoder if threads == 1 else self.on_two_threads
        batch = self.card.batch_size
        for at in range(0, len(latents), batch):
            rows = slice(at, at + batch)
            yield self._checked(decoder.draw(latents[rows], label_ids[rows]))

    def fingerprints(self, latents: Latents, label_ids: LabelIds) -> list[str]:
        """One sha256 an image: all images of many labels may be more than memory holds."""
        batches = self.draw(latents, label_ids)
        return [sha256_hex(image.tobytes()) for images in batches for image in images]

    def _checked(self, images: Images) -> Images:
        shape = self.card.image
        wanted = (self.card.batch_size, shape.height, shape.width, shape.channels)
        if images.shape != wanted or images.dtype != np.uint8:
            raise DecoderRefused(f"it yields {images.dtype} {list(images.shape)}, not {wanted}")
        return images
