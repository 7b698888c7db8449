"""What the measures work with: decoder, data, classifier, and who watches."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from export.arguments import TrainingArguments
from export.checkpoint import Checkpoint, CheckpointFacts
from export.cvae import CVAE
from export.data import DataSet, Split
from export.evaluation.arguments import EvaluationArguments
from export.evaluation.classifier import Classifier, read
from export.evaluation.feature_space import (
    FeatureSpace,
    classifier_space,
    pixel_space,
)
from export.evaluation.lesson import Lesson, steps_for
from export.evaluation.lessons import Lessons
from export.evaluation.reading import Reading, reading_of
from export.evaluation.trained import model_behind
from export.evaluation.watch import Watch
from service.contract.errors import DataSetInvalid
from workers.decoder import Decoder

#: Of no evaluation seed, so that one reference judges whatever is evaluated on the same data.
REFERENCE_SEED = 2**62


@dataclass(frozen=True)
class Bench:
    """One decoder beside the data it is judged by. Raises DataSetInvalid where they do not fit."""

    decoder: Decoder
    data: DataSet
    arguments: EvaluationArguments
    lessons: Lessons
    watch: Watch
    threads: int
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        card, data = self.decoder.card, self.data
        if card.image != data.shape:
            raise DataSetInvalid(
                f"decoder {card.name} draws {_size(card.image)} images and {data.name} holds "
                f"{_size(data.shape)}: give --data the data that it was trained on"
            )
        if card.labels and card.labels != data.labels:
            raise DataSetInvalid(
                f"decoder {card.name} takes the labels {_some(card.labels)} and {data.name} has "
                f"{_some(data.labels)}: give --data the data that it was trained on"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps of every classifier, so that all of them learn equally long."""
        return steps_for(len(self.data.train), self.arguments)

    def lesson(self, seed: int) -> Lesson:
        return Lesson(steps=self.steps, seed=seed, threads=self.threads)

    @cached_property
    def classifier(self) -> Classifier:
        """The reference: it learned the real training split."""
        with self.watch.measuring("reference classifier", self.steps) as advance:
            return self.lessons.classifier(self.data.train, self.lesson(REFERENCE_SEED), advance)

    @cached_property
    def reference(self) -> Reading:
        """What the reference classifier reads of the real test split."""
        test = self.data.test
        return reading_of(read(self.classifier, test.images), test.labels, self.data.labels)

    @cached_property
    def space(self) -> FeatureSpace:
        """Where images are compared: by the classifier, or by pixels if the data has no labels."""
        if self.data.labels:
            return classifier_space(self.classifier)
        return pixel_space(self.data.train.images)

    @property
    def facts(self) -> CheckpointFacts:
        """What the checkpoint says; only measures that need one ask."""
        assert self.checkpoint is not None
        return self.checkpoint.facts

    @property
    def trained_with(self) -> TrainingArguments:
        return self.facts.arguments

    @cached_property
    def model(self) -> CVAE:
        """Encoder and decoder of the checkpoint. Raises CheckpointInvalid for another decoder's."""
        assert self.checkpoint is not None
        return model_behind(self.decoder, self.checkpoint)

    def some(self, split: Split, most: int | None) -> Split:
        """At most so many images, evenly spaced through the split."""
        count = min(most or len(split), len(split))
        rows = np.arange(count) * len(split) // count
        return Split(split.images[rows], split.labels[rows])


def _size(shape: object) -> str:
    return "{height}x{width}x{channels}".format(**vars(shape))


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "") if labels else "none"
