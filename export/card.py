"""The card of an exported decoder: no time and no place in it, so a checkpoint has one card."""

from pydantic import ValidationError

from export.checkpoint import Checkpoint
from service.contract.card import DecoderCard
from service.contract.errors import ExportFailed
from service.contract.value import sha256_hex


def card_of(
    checkpoint: Checkpoint,
    onnx: bytes,
    *,
    name: str,
    batch_size: int,
    description: str = "",
) -> DecoderCard:
    """What is known of these bytes before they are verified. Raises ExportFailed for a bad name."""
    facts = checkpoint.facts
    try:
        return DecoderCard(
            name=name,
            digest=sha256_hex(onnx),
            size_bytes=len(onnx),
            latent_dim=facts.arguments.latent_dim,
            labels=facts.labels,
            image=facts.image,
            batch_size=batch_size,
            description=description,
            training={
                "data": {"name": facts.data, "sha256": facts.files},
                "arguments": facts.arguments.model_dump(),
                "torch": facts.torch,
                "device": facts.device,
                "mixed_precision": facts.mixed,
                "threads": facts.threads,
                "epoch": facts.epoch,
            },
            quality=dict(facts.quality),
        )
    except ValidationError as error:
        faults = [f"{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ExportFailed(f"the card would be refused: {'; '.join(faults)}") from error
