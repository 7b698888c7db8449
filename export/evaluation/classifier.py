"""The reference classifier: it reads images, knows nothing of the generator, and judges it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.data import LabelIds
from service.contract.card import ImageShape
from workers.decoder import Images

Features = npt.NDArray[np.float32]

#: Part of the report's protocol: other numbers read, and so judge, differently.
FEATURES, DROPOUT = 128, 0.3

#: Halving stops at about this many pixels a side, where a dense layer takes over.
_SMALL = 8
_WIDEST = 128
#: Images per forward pass when reading; bounds memory, decides nothing.
_READ_BATCH = 500


class Classifier(nn.Module):
    """Stages of two 3x3 convolutions and a pooling, then a dense layer; BatchNorm and ReLU after each.

    In the comments: B images, F features, K labels.
    """

    def __init__(self, shape: ImageShape, labels: int) -> None:
        super().__init__()
        side, width = min(shape.height, shape.width), 16
        stages, planes, size = [], shape.channels, (shape.height, shape.width)
        for _ in range(2 if side <= 4 * _SMALL else (side // _SMALL).bit_length()):
            wider = min(2 * width, _WIDEST)
            stages += [*_convolution(planes, width), *_convolution(width, wider)]
            # ceil: a side of one pixel stays one.
            stages.append(nn.MaxPool2d(2, ceil_mode=True))
            planes = width = wider
            size = (-(-size[0] // 2), -(-size[1] // 2))
        self.stages = nn.Sequential(*stages)
        self.dense = nn.Linear(planes * size[0] * size[1], FEATURES, bias=False)
        self.norm, self.out = nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, labels)
        self.register_buffer("mean", torch.zeros(shape.channels, 1, 1))
        self.register_buffer("scale", torch.ones(shape.channels, 1, 1))
        self.mean: Tensor
        self.scale: Tensor

    def standardise(self, images: Images) -> None:
        """Take the grey levels' mean and scale per channel from the images to be learned."""
        mean = images.mean(axis=(0, 1, 2), dtype=np.float64)
        scale = np.maximum(images.std(axis=(0, 1, 2), dtype=np.float64), 1.0)
        self.mean.copy_(torch.from_numpy(mean)[:, None, None])
        self.scale.copy_(torch.from_numpy(scale)[:, None, None])

    def features(self, images: Tensor) -> Tensor:
        """The layer before the last: uint8 [B, H, W, C] -> float32 [B, F]."""
        # H, W, C with C fastest is torch's channels_last: the convolutions read it as it lies.
        x = (images.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.scale
        x = F.dropout(self.stages(x).flatten(1), DROPOUT, self.training)
        return torch.relu(self.norm(self.dense(x)))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, C] -> logits [B, K]."""
        logits: Tensor = self.out(F.dropout(self.features(images), DROPOUT, self.training))
        return logits


def _convolution(planes: int, width: int) -> list[nn.Module]:
    return [
        nn.Conv2d(planes, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]


def empty_classifier(shape: ImageShape, labels: int) -> Classifier:
    """Untrained, its weights in the order in which it reads images."""
    model: Classifier = Classifier(shape, labels).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def read(model: Classifier, images: Images) -> LabelIds:
    """The label ids that a classifier reads: int64 [N]."""
    return _in_parts(images, lambda part: model(part).argmax(dim=1)).numpy()


def features_of(model: Classifier, images: Images) -> Features:
    """The images as the classifier sees them: float32 [N, F]."""
    return _in_parts(images, model.features).numpy()


@torch.no_grad()
def _in_parts(images: Images, answer: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([answer(part) for part in torch.split(tensor_of(images), _READ_BATCH)])


def tensor_of(array: npt.NDArray[Any]) -> Tensor:
    """The array's own memory where it may be written to, as torch wants it, else a copy."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
