"""The trained model behind a decoder: believed only if it draws what the decoder draws."""

import numpy as np
import torch

from export.checkpoint import Checkpoint
from export.cvae import CVAE
from export.to_onnx import drawing_decoder
from service.contract.errors import CheckpointInvalid
from workers.decoder import Decoder
from workers.latents import draw_latents

#: Grey levels by which two drawings of one model may differ on average: int8 variants stay below it,
#: another model is far above.
_SAME_LEVELS = 8.0
_SAMPLES = 64


def model_behind(decoder: Decoder, checkpoint: Checkpoint) -> CVAE:
    """The checkpoint's model. Raises CheckpointInvalid when it is not the one that was exported."""
    card, facts = decoder.card, checkpoint.facts
    same_kind = (card.labels, card.image, card.latent_dim) == (
        facts.labels,
        facts.image,
        facts.arguments.latent_dim,
    )
    if not same_kind or _levels_apart(decoder, checkpoint) > _SAME_LEVELS:
        raise CheckpointInvalid(
            f"the checkpoint draws other images than decoder {card.name}: "
            "give the checkpoint that it was exported from, or none"
        )
    return checkpoint.model()


@torch.no_grad()
def _levels_apart(decoder: Decoder, checkpoint: Checkpoint) -> float:
    card = decoder.card
    latents = draw_latents(0, 0, _SAMPLES, card.latent_dim)
    ids = torch.zeros(_SAMPLES, dtype=torch.int64) if card.labels else None
    trained = drawing_decoder(checkpoint)(torch.from_numpy(latents), ids).numpy()
    exported = decoder.decode(latents, card.labels[0] if card.labels else None)
    return float(np.abs(exported.astype(np.float32) - trained).mean())
