"""What an evaluation measures, and how much of it; without torch, for the command line."""

from enum import StrEnum

from pydantic import Field

from service.contract.value import Value


class Measure(StrEnum):
    """What the report can hold, in the order of its sections."""

    FIDELITY = "fidelity"
    SCORE = "score"
    AUGMENTATION = "augmentation"
    MANIFOLD = "manifold"
    NEIGHBOURS = "neighbours"
    TEMPERATURE = "temperature"
    PICTURES = "pictures"
    BOUND = "bound"
    LIKELIHOOD = "likelihood"
    CURVE = "curve"


class EvaluationArguments(Value):
    """What decides the figures, beside decoder, data and checkpoint.

    Evaluation seed i is `seed` + i: it draws its own samples and trains its own classifiers.
    """

    seed: int = Field(default=0, ge=0, lt=2**62)
    seeds: int = Field(default=3, ge=1, le=100)
    #: One run is six trainings; three seeds would take longer than all other measures together.
    augmentation_seeds: int = Field(default=1, ge=1, le=100)
    measures: tuple[Measure, ...] = tuple(Measure)
    quick: bool = False
    drawn: int = Field(default=10_000, ge=1)
    compared: int = Field(default=10_000, ge=2)
    epochs: int = Field(default=3, ge=1)
    least_steps: int = Field(default=600, ge=1)
    most_steps: int | None = Field(default=None, ge=1)
    likelihood_samples: int = Field(default=5000, ge=1)
    likelihood_rows: int | None = Field(default=None, ge=2)
    marginal: bool = False

    def evaluation_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.seeds))


#: A first look: one seed, short trainings, few samples.
QUICK: dict[str, int | bool] = {
    "quick": True,
    "seeds": 1,
    "drawn": 2000,
    "compared": 2000,
    "epochs": 1,
    "least_steps": 150,
    "most_steps": 150,
    "likelihood_samples": 100,
    "likelihood_rows": 500,
}
