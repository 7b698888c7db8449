"""A lesson: how a classifier learns a split of labelled images, the same way for every split."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from export.data import Split
from export.evaluation.arguments import EvaluationArguments
from export.evaluation.classifier import Classifier, empty_classifier, tensor_of
from export.evaluation.repeatable import repeatable
from export.evaluation.watch import Advance
from service.contract.card import ImageShape
from service.contract.value import Value

#: Part of the report's protocol: 1,290 of these steps read 99.5 % of MNIST's test images.
BATCH, LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 128, 4e-3, 1e-2, 0.05


class Lesson(Value):
    """What decides the weights, beside the images: optimiser steps, seed, and threads that sum."""

    steps: int
    seed: int
    threads: int


def steps_for(images: int, arguments: EvaluationArguments) -> int:
    """`epochs` passes over so many images, within the bounds that the arguments set."""
    steps = max(arguments.least_steps, arguments.epochs * -(-images // BATCH))
    return min(steps, arguments.most_steps or steps)


def learn(
    split: Split, shape: ImageShape, labels: int, lesson: Lesson, advance: Advance
) -> Classifier:
    """Fit a classifier: AdamW, one cycle of the learning rate (Smith & Topin 2017, arXiv:1708.07120).

    Same images, lesson and machine: same weights. The global random state is left alone.
    """
    with repeatable(lesson.seed, lesson.threads):
        model = empty_classifier(shape, labels)
        model.standardise(split.images)
        optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, LEARNING_RATE, total_steps=lesson.steps
        )
        for images, ids in _batches(split, shape, lesson.steps):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(images), ids, label_smoothing=SMOOTHING)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            cycle.step()
            advance()
        return model.eval()


def _batches(split: Split, shape: ImageShape, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Full batches in ever new random orders: uint8 [B, H, W, C] and int64 [B]."""
    images, labels = tensor_of(split.images), tensor_of(split.labels)
    reach = min(2, min(shape.height, shape.width) // 12)
    given = 0
    while given < steps:
        # What is left over at the end of an order is too small a batch for BatchNorm.
        whole = max(1, len(split) // BATCH)
        for rows in torch.split(torch.randperm(len(split)), BATCH)[: min(whole, steps - given)]:
            yield _shifted(images[rows], reach), labels[rows]
            given += 1


def _shifted(images: Tensor, reach: int) -> Tensor:
    """The whole batch moved by up to `reach` pixels, edges repeated: 8x8 images are not moved."""
    if not reach:
        return images
    _, height, width, _ = images.shape
    down, right = torch.randint(-reach, reach + 1, (2,)).tolist()
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    return images[:, rows][:, :, columns]
