"""How probable a model finds images: the ELBO, and the importance-weighted bound above it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.cvae import CVAE, importance_bound
from export.data import Split
from export.idx import Bytes
from export.networks.condition import one_hot

#: Images per forward pass when measuring; bounds memory, decides nothing.
ROWS = 1000
#: Latents decoded at once for the importance-weighted bound: 2,000 images of 784 pixels are 6 MB.
DECODED_AT_ONCE = 2000

Floats = npt.NDArray[np.float32]
Told = Callable[[int], None]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Bound:
    """Means over a split in nats per image: `negative_elbo` is the sum of the two others."""

    reconstruction: float
    kl: float

    @property
    def negative_elbo(self) -> float:
        return self.reconstruction + self.kl


@dataclass(frozen=True)
class LogLikelihood:
    """-log p(x|c), or of x alone where `marginal`; mean and its standard error in nats per image."""

    nll: float
    standard_error: float
    images: int
    samples: int
    marginal: bool


@torch.no_grad()
def elbo(model: CVAE, split: Split, *, seed: int, binarise: bool = False) -> Bound:
    """The negative ELBO by one latent per image from `seed`."""
    device = model.to_mu.weight.device
    generator = torch.Generator(device).manual_seed(seed)
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    for rows in np.array_split(np.arange(len(split)), -(-len(split) // ROWS)):
        x = pixels(split.images[rows], device, generator if binarise else None)
        c = one_hot(torch.tensor(split.labels[rows], device=device), model.labels)
        eps = torch.randn(len(x), model.latent_dim, generator=generator, device=device)
        likelihood, kl = model.log_terms(x, c, eps)
        totals += torch.stack([-likelihood.sum(dtype=torch.float64), kl.sum(dtype=torch.float64)])
    reconstruction, kl_mean = (totals / len(split)).tolist()
    return Bound(reconstruction, kl_mean)


@torch.no_grad()
def importance_weighted(
    model: CVAE,
    split: Split,
    *,
    samples: int,
    seed: int,
    binarise: bool = True,
    marginal: bool = False,
    told: Told | None = None,
) -> LogLikelihood:
    """-log p by `samples` latents per image, after Burda, Grosse & Salakhutdinov 2015.

    `binarise` draws every pixel once as 0 or 1 by its grey level. `marginal` sums over the labels
    with equal weights, p(x) = sum_c p(x|c) / K, at K times the cost. `told` hears images done.
    """
    generator = torch.Generator().manual_seed(seed)
    x = pixels(split.images, CPU, generator if binarise else None)
    rows = zip(torch.split(x, 1), torch.split(torch.tensor(split.labels), 1), strict=True)
    log_p = np.empty(len(split))
    for row, (image, label_id) in enumerate(rows):
        label_ids = torch.arange(model.labels) if marginal and model.labels else label_id
        each = _log_p(model, image, label_ids, samples, generator)  # [K] or [1]
        log_p[row] = torch.logsumexp(each, dim=0) - math.log(len(each))
        if told:
            told(row + 1)
    error = float(log_p.std(ddof=1) / math.sqrt(len(log_p)))
    return LogLikelihood(-float(log_p.mean()), error, len(log_p), samples, marginal)


def _log_p(
    model: CVAE, image: Tensor, label_ids: Tensor, samples: int, generator: torch.Generator
) -> Tensor:
    """image [1, D] under each label id [K] -> log p(x|c) [K], in float64."""
    x, c = image.expand(len(label_ids), -1), one_hot(label_ids, model.labels)
    terms = [
        model.log_terms(x, c, torch.randn(count, len(x), model.latent_dim, generator=generator))
        for count in _parts(samples, max(1, DECODED_AT_ONCE // len(x)))
    ]
    likelihood, ratio = (torch.cat(part).to(torch.float64) for part in zip(*terms, strict=True))
    return importance_bound(likelihood, ratio)


def _parts(whole: int, largest: int) -> Iterator[int]:
    for start in range(0, whole, largest):
        yield min(largest, whole - start)


@torch.no_grad()
def reconstruct(model: CVAE, split: Split) -> Bytes:
    """The images drawn from each image's mean latent: uint8 [N, H, W, C]."""
    means, c = _means(model, split)
    levels = torch.round(torch.sigmoid(model.decode(means, c)) * 255).to(torch.uint8)
    return levels.numpy().reshape(split.images.shape)


@torch.no_grad()
def encode_noise(model: CVAE, split: Split) -> Floats:
    """The decoder's own inputs that draw each image again: float32 [N, L], before the prior."""
    noise, _ = model.prior.to_noise(*_means(model, split))
    array: Floats = noise.numpy()
    return array


def _means(model: CVAE, split: Split) -> tuple[Tensor, Tensor | None]:
    c = one_hot(torch.tensor(split.labels), model.labels)
    mu, _ = model.encode(pixels(split.images, CPU), c)
    return mu, c


def pixels(images: Bytes, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, D] in 0..1; with a generator redrawn as 0 or 1."""
    x = torch.tensor(images, device=device).flatten(1).to(torch.float32) / 255
    return x if generator is None else torch.bernoulli(x, generator=generator)
