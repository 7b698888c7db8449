"""What a client may ask for: the body as given, checked on its own, and as resolved against a decoder card."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from service.contract.card import DECODER_NAME, DecoderCard, Label
from service.contract.mix import weights_of
from service.contract.recipe import MAX_SEED, Compression, Format, Mix, Recipe
from service.contract.shard import (
    BLOCK,
    MAX_SHARD_SIZE,
    default_shard_size,
    shard_count,
)
from service.contract.value import SHA256, Moment, Value
from service.contract.webhook_url import MAX_URL_CHARS

#: A server draws seeds below this, so that a JavaScript client reads them without loss.
DRAWN_SEED_LIMIT = 2**53

#: Largest body of a request, over HTTP by default and in a task: a request is ten short fields.
MAX_BODY_BYTES = 64 * 1024

JOB_ID = r"^[A-Za-z0-9_-]{8,64}$"

#: A tag's name and its value alike: what a query and a table show as it is.
_TAG = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]
MOST_TAGS = 16
#: Not there at all where there are none, so that what was written before tags reads the same.
Tags = Annotated[
    dict[_TAG, _TAG],
    Field(
        max_length=MOST_TAGS,
        exclude_if=lambda tags: not tags,
        json_schema_extra={"additionalProperties": False},
    ),
]

#: Longest that a job may wait to be started: thirty days.
MAX_EXPIRES_IN_S = 30 * 86_400


class Priority(StrEnum):
    """Which of an owner's jobs goes first when a turn is its owner's; other owners' turns are as before."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def rank(self) -> int:
        """0 goes first."""
        return list(Priority).index(self)


def _thousandths(temperature: float) -> float:
    if abs(temperature * 1000 - round(temperature * 1000)) > 1e-6:
        raise ValueError("temperature has at most three decimals")
    return temperature


def _seed_in_range(seed: int | str) -> int:
    value = int(seed)
    if value > MAX_SEED:
        raise ValueError(f"seed is at most {MAX_SEED}")
    return value


#: An integer, or its decimal string for clients whose numbers end at 2**53.
Seed = Annotated[
    Annotated[int, Field(ge=0, le=MAX_SEED)]
    | Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$")],
    AfterValidator(_seed_in_range),
]


class JobRequest(Value):
    """The body of `POST /v1/jobs`.

    `decoder` may be pinned as `name@digest`. `label` may be the JSON integer where the label is a decimal number.
    `labels` is an exact mix, images of each label, and stands in place of `label` and `count`.
    """

    decoder: str = Field(pattern=rf"{DECODER_NAME[:-1]}(@[0-9a-f]{{64}})?$", examples=["mnist"])
    label: Annotated[int, Field(ge=0)] | str | None = Field(default=None, examples=[3])
    count: int | None = Field(default=None, ge=1, examples=[1000])
    labels: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        default=None,
        min_length=1,
        examples=[{"3": 200, "8": 100}],
        # One image at least.
        json_schema_extra={"not": {"type": "object", "additionalProperties": {"const": 0}}},
    )
    seed: Seed | None = Field(default=None, examples=[42])
    format: Format = Field(default=Format.ZIP, strict=False)
    temperature: Annotated[float, AfterValidator(_thousandths)] = Field(
        default=1.0, ge=0.001, le=2, json_schema_extra={"multipleOf": 0.001}
    )
    compression: Compression = Field(default=Compression.FAST, strict=False)
    shard_size: int | None = Field(default=None, ge=BLOCK, le=MAX_SHARD_SIZE, multiple_of=BLOCK)
    #: What follows is no part of the recipe: found again by its tags; before or after its owner's other jobs; failed if
    #: no shard was begun in so many seconds.
    tags: Tags = {}
    priority: Priority = Field(default=Priority.NORMAL, strict=False)
    expires_in_s: int | None = Field(default=None, ge=1, le=MAX_EXPIRES_IN_S, examples=[3600])
    #: Its shape depends on the server's settings, so `check_request` looks at it.
    webhook: str | None = Field(
        default=None, max_length=MAX_URL_CHARS, examples=["https://hooks.example.org/latentmill"]
    )

    @field_validator("label")
    @classmethod
    def _label_as_string(cls, label: int | str | None) -> str | None:
        return None if label is None else str(label)


class ResolvedRequest(Value):
    """A request with every default filled in and the decoder pinned: all that a worker needs to know.

    `labels` has the images of each label of a mix, `count` their sum.
    """

    decoder: str = Field(pattern=DECODER_NAME)
    digest: str = Field(pattern=SHA256)
    label: Label | None
    labels: Mix = None
    count: int = Field(ge=1)
    seed: int = Field(ge=0, le=MAX_SEED)
    temperature_milli: int
    format: Format = Field(strict=False)
    compression: Compression = Field(strict=False)
    shard_size: int

    @property
    def shards(self) -> int:
        return shard_count(self.count, self.shard_size)

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            decoder=self.digest,
            label=self.label,
            labels=None if self.labels is None else weights_of(self.labels),
            seed=self.seed,
            temperature_milli=self.temperature_milli,
            format=self.format,
            compression=self.compression,
            shard_size=self.shard_size,
        )


class AcceptedRequest(Value):
    """`request.json`: the proof that a job was accepted. `resolved` is None for a body that was refused in a task."""

    id: str = Field(pattern=JOB_ID)
    owner: str
    given: Any
    given_sha256: str = Field(pattern=SHA256)
    resolved: ResolvedRequest | None
    webhook: str | None = None
    tags: Tags = {}
    priority: Priority = Field(
        default=Priority.NORMAL, strict=False, exclude_if=lambda it: it == Priority.NORMAL
    )
    expires_at: Moment | None = Field(
        default=None, strict=False, exclude_if=lambda moment: moment is None
    )
    created_at: Moment = Field(strict=False)


def resolve(request: JobRequest, card: DecoderCard, *, drawn_seed: int) -> ResolvedRequest:
    """Fill in what the request left out. The caller has checked the faults above."""
    assert request.label is None or isinstance(request.label, str)
    labels = None if request.labels is None else _asked_for(request.labels)
    return ResolvedRequest(
        decoder=card.name,
        digest=card.digest,
        label=request.label,
        labels=labels,
        count=request.count or sum((labels or {}).values()),
        seed=drawn_seed if request.seed is None else int(request.seed),
        temperature_milli=round(request.temperature * 1000),
        format=request.format,
        compression=request.compression,
        shard_size=request.shard_size or default_shard_size(card.image.size_bytes),
    )


def _asked_for(labels: dict[str, int]) -> dict[str, int]:
    """By name, without those of which none is wanted: two spellings of one mix are one request."""
    return {label: labels[label] for label in sorted(labels) if labels[label]}
