"""Where images are near each other when they look alike: the classifier's features, or pixels' PCA."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from export.evaluation.classifier import Classifier, features_of, tensor_of
from export.evaluation.distance import Floats
from workers.decoder import Images

COMPONENTS = 64
#: Images that principal components are found from, evenly spaced; their Gram matrix is small.
_FITTED = 2000


@dataclass(frozen=True)
class FeatureSpace:
    """A name for readers, and uint8 [N, H, W, C] -> float32 [N, F]."""

    name: str
    of: Callable[[Images], Floats]


def classifier_space(classifier: Classifier) -> FeatureSpace:
    """The layer before the last of the reference classifier."""
    return FeatureSpace(
        "the reference classifier's features", lambda images: features_of(classifier, images)
    )


def pixel_space(train: Images) -> FeatureSpace:
    """Principal components of the pixels, for data that has no labels to train a classifier with."""
    fitted = tensor_of(train[:: max(1, len(train) // _FITTED)]).flatten(1).to(torch.float64)
    mean = fitted.mean(dim=0)
    # Eigenvectors of X Xᵀ [n, n] give those of Xᵀ X [D, D], which would be large.
    _, vectors = torch.linalg.eigh((fitted - mean) @ (fitted - mean).T)
    axes = torch.linalg.qr((fitted - mean).T @ vectors[:, -COMPONENTS:]).Q / 255  # [D, F]
    return FeatureSpace(
        f"{axes.shape[1]} principal components of the pixels",
        lambda images: _projected(images, mean, axes),
    )


def _projected(images: Images, mean: torch.Tensor, axes: torch.Tensor) -> Floats:
    parts = [
        (part.flatten(1) - mean.to(torch.float32)) @ axes.to(torch.float32)
        for part in torch.split(tensor_of(images), 1000)
    ]
    return np.asarray(torch.cat(parts).numpy(), np.float32)
