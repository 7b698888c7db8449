"""The bare decoder: ONNX Runtime and nothing else, in the better of the two ways to use all cores."""

from service.contract.card import DecoderCard
from service.local.bare import bare_rate
from service.local.stack import cores


def bare_rates(onnx: bytes, card: DecoderCard, *, seconds: float) -> dict[str, float]:
    """Images per second at the card's batch, by how the cores were used."""
    return {
        "one session on all cores": bare_rate(
            onnx, card, sessions=1, threads=cores(), seconds=seconds
        ),
        "one session per core": bare_rate(onnx, card, sessions=cores(), seconds=seconds),
    }
