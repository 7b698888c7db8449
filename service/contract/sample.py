"""One sample, asked for alone: what the message to a worker says."""

from pydantic import Field

from service.contract.card import DECODER_NAME, Label
from service.contract.recipe import MAX_SEED
from service.contract.value import SHA256, Value

#: Members of archives are named by twelve digits.
MAX_INDEX = 10**12 - 1

#: In an address, for a decoder that has no labels: no label can be spelt so.
NO_LABEL = "-"


class SampleRequest(Value):
    """Sample `index` of every request with this decoder, label, seed and temperature; the answer goes to `reply`."""

    decoder: str = Field(pattern=DECODER_NAME)
    digest: str = Field(pattern=SHA256)
    label: Label | None
    seed: int = Field(ge=0, le=MAX_SEED)
    temperature_milli: int = Field(ge=1, le=2000)
    index: int = Field(ge=0, le=MAX_INDEX)
    reply: str = Field(pattern=r"^[0-9a-f]{32}$")


class SampleAnswer(Value):
    """What a worker answers: a PNG file in base64, or why there is none."""

    png: str | None = None
    error: str | None = None
