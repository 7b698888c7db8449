"""The learning curve, as training wrote it into the checkpoint."""

from export.evaluation.bench import Bench
from export.evaluation.figures import Figure
from service.contract.value import Value


class CurvePoint(Value):
    """Negative ELBO after an epoch, in nats per image: over its own steps, and of the validation split."""

    epoch: int
    train: Figure
    validation: Figure


class LearningCurve(Value):
    """`best` is the epoch whose weights the checkpoint holds."""

    points: tuple[CurvePoint, ...]
    best: int


def learning_curve(bench: Bench) -> LearningCurve:
    """One point for each epoch."""
    facts = bench.facts
    return LearningCurve(
        points=tuple(
            CurvePoint(epoch=point.epoch, train=point.train, validation=point.validation)
            for point in facts.history
        ),
        best=facts.epoch,
    )
