"""Which batch the decoder always runs on: the smallest that is nearly as fast as any."""

from collections.abc import Mapping

from export.card import card_of
from export.checkpoint import Checkpoint
from export.speed import images_per_s
from export.to_onnx import to_onnx
from service.contract.shard import BLOCK
from workers.decoder import Decoder

#: Powers of two up to a block, so that batches never straddle two blocks.
BATCH_SIZES = tuple(2**power for power in range(BLOCK.bit_length()))

#: Small batches waste little on a short tail, so a tenth of the speed is given for them.
NEAR_BEST = 0.9


def measured_batch_size(checkpoint: Checkpoint) -> int:
    """The smallest power of two within 10 % of the best throughput, on one CPU thread."""
    return smallest_near_best(speeds(checkpoint))


def smallest_near_best(throughput: Mapping[int, float]) -> int:
    """The smallest key of {batch size: images per second} that reaches NEAR_BEST of the best."""
    enough = NEAR_BEST * max(throughput.values())
    return min(size for size, speed in throughput.items() if speed >= enough)


def speeds(checkpoint: Checkpoint) -> dict[int, float]:
    """Images per second for every allowed batch size."""
    onnx = to_onnx(checkpoint, batch_size=None)
    cards = [card_of(checkpoint, onnx, name="measured", batch_size=size) for size in BATCH_SIZES]
    found = images_per_s([Decoder(onnx, card) for card in cards])
    return dict(zip(BATCH_SIZES, found, strict=True))
