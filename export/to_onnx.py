"""The decoder half as one ONNX file that draws uint8 images: same checkpoint, same bytes."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from export.checkpoint import Checkpoint
from export.cvae import CVAE
from export.networks.condition import one_hot
from service.contract.card import IMAGE_OUTPUT, LABEL_INPUT, LATENT_INPUT, ImageShape

#: The opset that torch's exporter is tested with most; ONNX Runtime reads it on CPU and CUDA.
OPSET = 20

ANY_BATCH = {0: torch.export.Dim.DYNAMIC}

#: An example batch for a graph of any batch: torch.export takes 0 and 1 for special sizes.
_EXAMPLE = 2


class DrawingDecoder(nn.Module):
    """`(latent, label) -> image`: prior, decoder, scale, round, clip and cast inside the graph."""

    def __init__(self, cvae: CVAE, image: ImageShape) -> None:
        super().__init__()
        self.cvae, self.image = cvae, image

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """float32 [B, L], int64 [B] -> uint8 [B, H, W, C]: the mean image of P(x|z,c)."""
        c = None if label is None else one_hot(label, self.cvae.labels)
        mean = torch.sigmoid(self.cvae.draw(latent, c))  # [B, H*W*C]
        levels = torch.clamp(torch.round(mean * 255), 0, 255).to(torch.uint8)  # [B, H*W*C]
        return levels.reshape(-1, self.image.height, self.image.width, self.image.channels)


def drawing_decoder(checkpoint: Checkpoint) -> DrawingDecoder:
    """The trained decoder with uint8 images, in PyTorch. Raises CheckpointInvalid."""
    decoder = DrawingDecoder(checkpoint.model(), checkpoint.facts.image)
    decoder.eval()
    return decoder


def to_onnx(checkpoint: Checkpoint, *, batch_size: int | None) -> bytes:
    """The contract's graph for one batch size, or (None) for any. Raises CheckpointInvalid."""
    inputs = _example(checkpoint, batch_size or _EXAMPLE)
    with _quiet():
        program: Any = torch.onnx.export(
            drawing_decoder(checkpoint),
            tuple(inputs.values()),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[IMAGE_OUTPUT],
            dynamic_shapes=None if batch_size else dict.fromkeys(inputs, ANY_BATCH),
            verbose=False,
        )
    model = _without_traces(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _example(checkpoint: Checkpoint, rows: int) -> dict[str, Tensor]:
    inputs = {LATENT_INPUT: torch.zeros(rows, checkpoint.facts.arguments.latent_dim)}
    if checkpoint.facts.labels:
        inputs[LABEL_INPUT] = torch.zeros(rows, dtype=torch.int64)
    return inputs


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what depends on where and by whom the file was made: source paths, versions, orders."""
    model.producer_name, model.producer_version = "latentmill", ""
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.initializer,
        *_values(model.graph),
    ):
        part.doc_string = ""
        del part.metadata_props[:]
    for node in model.graph.node:
        node.attribute.sort(key=lambda attribute: attribute.name)
    model.graph.initializer.sort(key=lambda tensor: tensor.name)
    # Shapes between the nodes follow from the inputs; a reader infers them.
    del model.graph.value_info[:]
    return model


def _values(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    return [*graph.input, *graph.output, *graph.value_info]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says about itself: nobody who exports a decoder can act on it."""
    # It misses torchvision, which we have no use for.
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # torch 2.13 deprecates a form that its own exporter uses.
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        log.setLevel(level)
