"""From a checkpoint to a decoder that may be published: graph, batch size, card, proof."""

from pathlib import Path

from export.batch_size import measured_batch_size
from export.card import card_of
from export.checkpoint import Checkpoint
from export.files import write_whole
from export.precision_report import in_precision
from export.publish import CARD_FILE, ONNX_FILE
from export.to_onnx import to_onnx
from export.verify import agreement, verify
from service.contract.card import DecoderCard, Precision


def export_decoder(
    checkpoint: Checkpoint,
    *,
    name: str,
    batch_size: int | None = None,
    precision: Precision = "fp32",
    description: str = "",
) -> tuple[bytes, DecoderCard]:
    """`(decoder.onnx, card)`, proven to draw what the checkpoint draws. No `batch_size`: measured.

    In fewer bits the pixels may differ; how far, the card says.

    Raises CheckpointInvalid, DecoderRefused, or ExportFailed when ONNX and PyTorch disagree.
    """
    # A bad name or batch size is told before seconds of work.
    card_of(checkpoint, b"-", name=name, batch_size=batch_size or 1)
    batch_size = batch_size or measured_batch_size(checkpoint)
    whole = to_onnx(checkpoint, batch_size=batch_size)
    card = card_of(checkpoint, whole, name=name, batch_size=batch_size, description=description)
    verify(checkpoint, whole, card)
    onnx, card = in_precision(whole, card, precision)
    proven = {"onnx_against_torch": agreement(checkpoint, onnx, card).for_card()}
    return onnx, card.model_copy(update={"quality": card.quality | proven})


def write_folder(folder: Path, onnx: bytes, card: DecoderCard) -> None:
    """Write `decoder.onnx` and `card.json`, each whole; the card last, for it vouches."""
    write_whole(folder / ONNX_FILE, onnx)
    write_whole(folder / CARD_FILE, card.to_json())
