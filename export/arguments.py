"""The arguments of a training run; without torch, because the command line shows the defaults."""

from pydantic import Field

from service.contract.value import Value


class TrainingArguments(Value):
    """What decides the weights, beside the data.

    `binarise` redraws every pixel as 0 or 1 by its grey level, each time it is seen.
    """

    epochs: int = Field(default=30, ge=1)
    latent_dim: int = Field(default=20, ge=1, le=4096)
    hidden: int = Field(default=512, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**63)
    binarise: bool = False
