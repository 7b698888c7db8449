"""The report as a value: every figure of `report.json`, and nothing that a second run would change."""

from typing import Literal

from export.evaluation.arguments import EvaluationArguments, Measure
from export.evaluation.augmentation import Augmentation
from export.evaluation.bound import BoundOnTest, Likelihood
from export.evaluation.fidelity import Fidelity
from export.evaluation.figures import Spread
from export.evaluation.learning_curve import LearningCurve
from export.evaluation.manifold import Manifold
from export.evaluation.neighbours import Neighbours
from export.evaluation.reading import Reading
from export.evaluation.score import Score
from export.evaluation.temperature import Temperatures
from service.contract.card import ImageShape
from service.contract.value import Value


class Judged(Value):
    """The decoder that was judged."""

    name: str
    digest: str
    size_bytes: int
    latent_dim: int
    labels: tuple[str, ...]
    image: ImageShape


class JudgedBy(Value):
    """The data that it was judged by: numbers of images, and sha256 sums of the source files."""

    name: str
    files: dict[str, str]
    train: int
    validation: int
    test: int


class Report(Value):
    """Everything that was measured. What was not is None, and `left_out` says why.

    `rests_on` names versions and threads: within them the same arguments give the same report.
    """

    format: Literal[1] = 1
    decoder: Judged
    data: JudgedBy
    arguments: EvaluationArguments
    rests_on: dict[str, str | int]
    reference: Reading | None = None
    fidelity: Fidelity | None = None
    score: Score | None = None
    augmentation: Augmentation | None = None
    manifold: Manifold | None = None
    neighbours: Neighbours | None = None
    temperature: Temperatures | None = None
    bound: BoundOnTest | None = None
    likelihood: Likelihood | None = None
    curve: LearningCurve | None = None
    left_out: dict[Measure, str]

    def headlines(self) -> dict[str, object]:
        """The few figures for the decoder's card."""
        found: dict[str, object] = {
            "data": self.data.name,
            "seed": self.arguments.seed,
            "seeds": self.arguments.seeds,
        }
        if self.reference:
            found["reference_classifier_accuracy"] = self.reference.accuracy
        if self.fidelity:
            found["label_fidelity"] = _pair(self.fidelity.fidelity)
        if self.score:
            found["classification_accuracy_score"] = _pair(self.score.score)
        if self.manifold:
            found["coverage"] = _pair(self.manifold.coverage)
        if self.likelihood:
            given = "" if self.likelihood.marginal else "_given_label"
            found[f"nll{given}_nats"] = {
                "mean": self.likelihood.nll,
                "standard_error": self.likelihood.standard_error,
                "samples": self.likelihood.samples,
            }
        return found


def _pair(figure: Spread) -> dict[str, float | None]:
    return {"mean": figure.mean, "spread": figure.spread}
