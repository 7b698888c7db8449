"""The decoder card: what exporter, API and workers agree on about one `decoder.onnx`."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from service.contract.shard import BLOCK
from service.contract.value import SHA256, Value

#: Names of the ONNX graph's inputs and output; part of the contract.
LATENT_INPUT, LABEL_INPUT, IMAGE_OUTPUT = "latent", "label", "image"

#: Of the determinism contract: latents, batch layout, shard boundaries, archive layout.
CONTRACT_VERSION = 1

#: Protobuf reads no message beyond this (protobuf.dev/programming-guides/proto-limits).
LARGEST_ONNX_BYTES = 2**31 - 1

DECODER_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

#: In how many bits a decoder computes or keeps its weights; inputs and images are the same in all.
Precision = Literal["fp32", "fp16", "int8"]

#: A label names folders in archives, so it can hold neither a separator nor a leading dot.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class ImageShape(Value):
    """Height, width and channels (1 grey, 3 RGB) of one uint8 image."""

    height: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=1024)
    channels: int

    @field_validator("channels")
    @classmethod
    def _grey_or_rgb(cls, channels: int) -> int:
        if channels not in (1, 3):
            raise ValueError("an image has 1 or 3 channels")
        return channels

    @property
    def size_bytes(self) -> int:
        return self.height * self.width * self.channels


class DecoderCard(Value):
    """One decoder: its identity (`digest`), its signature, and where it came from.

    `labels` are the class names in the order of their ids; empty for an unconditional decoder.
    `precision`, `training` and `quality` are for readers, nothing is computed from them.
    """

    contract: int = CONTRACT_VERSION
    name: str = Field(pattern=DECODER_NAME)
    digest: str = Field(pattern=SHA256)
    size_bytes: int = Field(ge=1, le=LARGEST_ONNX_BYTES)
    latent_dim: int = Field(ge=1, le=4096)
    labels: tuple[Label, ...] = Field(strict=False)
    image: ImageShape
    batch_size: int = Field(ge=1, le=BLOCK)
    precision: Precision = "fp32"
    description: str = ""
    training: dict[str, Any] = {}
    quality: dict[str, Any] = {}

    @field_validator("contract")
    @classmethod
    def _known_contract(cls, contract: int) -> int:
        if contract != CONTRACT_VERSION:
            raise ValueError(f"contract {contract} is not {CONTRACT_VERSION}, the one spoken here")
        return contract

    @field_validator("batch_size")
    @classmethod
    def _power_of_two(cls, batch_size: int) -> int:
        if batch_size & (batch_size - 1):
            raise ValueError("batch_size is a power of two")
        return batch_size

    @model_validator(mode="after")
    def _labels_are_unique(self) -> "DecoderCard":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels are unique")
        return self

    def label_id(self, label: str) -> int:
        """The id the graph takes for a label. Raises ValueError for a label the decoder does not have."""
        return self.labels.index(label)
