"""The recipe: everything that decides pixels and file bytes except the count. Its digest names the shards."""

from enum import StrEnum

from pydantic import Field

from service.contract.card import CONTRACT_VERSION, Label
from service.contract.shard import BLOCK, MAX_SHARD_SIZE
from service.contract.value import SHA256, Value, canonical_json, sha256_hex

#: Above this NumPy takes seeds through float64 and neighbours collide.
MAX_SEED = 2**63 - 1


class Format(StrEnum):
    """What one shard is stored as. The value is the file extension."""

    ZIP = "zip"
    NPZ = "npz"
    TAR = "tar"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How hard the encoder tries: `fast` by default, `small` for fewer bytes, `none` for raw speed."""

    FAST = "fast"
    SMALL = "small"
    NONE = "none"


class Recipe(Value):
    """What to draw and how to store it. Two requests with one recipe share every full shard.

    Temperature is held in thousandths so that the canonical form has no floats.
    """

    contract: int = CONTRACT_VERSION
    decoder: str = Field(pattern=SHA256)
    label: Label | None
    seed: int = Field(ge=0, le=MAX_SEED)
    temperature_milli: int = Field(default=1000, ge=1, le=2000)
    format: Format = Field(strict=False)
    compression: Compression = Field(default=Compression.FAST, strict=False)
    shard_size: int = Field(ge=BLOCK, le=MAX_SHARD_SIZE, multiple_of=BLOCK)

    @property
    def digest(self) -> str:
        """sha256 of the RFC 8785 form. The seed goes in as a string: RFC 8785 numbers end at 2**53."""
        body = self.model_dump(mode="json") | {"seed": str(self.seed)}
        return sha256_hex(canonical_json(body))
