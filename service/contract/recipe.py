"""The recipe: everything that decides pixels and file bytes except the count. Its digest names the shards."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from service.contract.card import CONTRACT_VERSION, Label
from service.contract.mix import MAX_PERIOD, labels_between
from service.contract.shard import BLOCK, MAX_SHARD_SIZE
from service.contract.value import SHA256, Value, canonical_json, sha256_hex

#: Above this NumPy takes seeds through float64 and neighbours collide.
MAX_SEED = 2**63 - 1


#: Samples of each label. Not there at all where there is none, so that what was written before mixes reads the same.
Mix = Annotated[
    dict[Label, Annotated[int, Field(ge=1)]] | None,
    Field(exclude_if=lambda mix: mix is None),
]


class Format(StrEnum):
    """What one shard is stored as. The value is the file extension."""

    ZIP = "zip"
    NPZ = "npz"
    TAR = "tar"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.ZIP: "application/zip",
    Format.NPZ: "application/octet-stream",
    Format.TAR: "application/x-tar",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class Compression(StrEnum):
    """How hard the encoder tries: `fast` by default, `small` for fewer bytes, `none` for raw speed."""

    FAST = "fast"
    SMALL = "small"
    NONE = "none"


class Recipe(Value):
    """What to draw and how to store it. Two requests with one recipe share every full shard.

    `labels` is a mix in lowest terms, in place of a label. Temperature is held in thousandths so that the canonical
    form has no floats.
    """

    contract: int = CONTRACT_VERSION
    decoder: str = Field(pattern=SHA256)
    label: Label | None
    labels: Mix = None
    seed: int = Field(ge=0, le=MAX_SEED)
    temperature_milli: int = Field(default=1000, ge=1, le=2000)
    format: Format = Field(strict=False)
    compression: Compression = Field(default=Compression.FAST, strict=False)
    shard_size: int = Field(ge=BLOCK, le=MAX_SHARD_SIZE, multiple_of=BLOCK)

    @model_validator(mode="after")
    def _one_or_a_mix(self) -> "Recipe":
        if self.label is not None and self.labels is not None:
            raise ValueError("a recipe has a label or a mix, not both")
        if self.labels is not None and not 0 < sum(self.labels.values()) <= MAX_PERIOD:
            raise ValueError(f"a mix repeats after {MAX_PERIOD} samples at most")
        return self

    def labels_between(self, start: int, stop: int) -> list[str]:
        """The labels of samples `start` … `stop` - 1; "" for a decoder without labels."""
        if self.labels is not None:
            return labels_between(self.labels, start, stop)
        return [self.label or ""] * (stop - start)

    @property
    def digest(self) -> str:
        """sha256 of the RFC 8785 form. The seed goes in as a string: RFC 8785 numbers end at 2**53."""
        body = self.model_dump(mode="json") | {"seed": str(self.seed)}
        return sha256_hex(canonical_json(body))
