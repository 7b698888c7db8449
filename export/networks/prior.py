"""p(z|c): where N(0, I) is carried to, so that what is drawn is what the encoder fills.

Dinh, Sohl-Dickstein & Bengio, "Density estimation using Real NVP", 2017 (arXiv:1605.08803): affine
couplings, exact in both directions. Chen et al., "Variational Lossy Autoencoder", 2017
(arXiv:1611.02731): a flow as the prior of a VAE. Here it also sees the label, and it is part of the
exported decoder: who draws from the decoder still hands it plain N(0, I).
"""

import math

import torch
from torch import Tensor, nn

from export.networks.condition import beside

#: No coupling scales a number by more than exp(2), so that a stray latent cannot explode.
LARGEST_LOG_SCALE = 2.0


class StandardPrior(nn.Module):
    """p(z|c) = N(0, I) for every label: the textbook."""

    def to_latent(self, eps: Tensor, c: Tensor | None) -> Tensor:  # noqa: ARG002
        """The identity."""
        return eps

    def to_noise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The identity, with log |det| = 0."""
        return z, torch.zeros(z.shape[:-1], device=z.device)


class FlowPrior(nn.Module):
    """p(z|c) as N(0, I) pushed through a Gaussian per label and then through couplings.

    In the comments: L latent dimensions, K labels.
    """

    def __init__(self, latent_dim: int, labels: int, couplings: int, hidden: int) -> None:
        super().__init__()
        # Of each label's Gaussian; one row where there are no labels.
        self.shift = nn.Parameter(torch.zeros(max(1, labels), latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(max(1, labels), latent_dim))
        half = latent_dim // 2
        sizes = ((half, latent_dim - half), (latent_dim - half, half))
        self.couplings = nn.ModuleList(
            Coupling(*sizes[layer % 2], labels, hidden) for layer in range(couplings)
        )

    def to_latent(self, eps: Tensor, c: Tensor | None) -> Tensor:
        """eps ~ N(0, I) [..., L] -> z ~ p(z|c) [..., L]."""
        shift, log_scale = self._gaussian_of(c)
        z = eps * torch.exp(log_scale) + shift
        for coupling in self.couplings:
            z = coupling.forward(z, c)
        return z

    def to_noise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The way back: z [..., L] -> eps [..., L] and log |d eps / d z| [...]."""
        log_det = torch.zeros(z.shape[:-1], device=z.device)
        for coupling in reversed(self.couplings):
            z, change = coupling.inverse(z, c)  # type: ignore[operator]
            log_det = log_det + change
        shift, log_scale = self._gaussian_of(c)
        return (z - shift) * torch.exp(-log_scale), log_det - log_scale.sum(dim=-1)

    def _gaussian_of(self, c: Tensor | None) -> tuple[Tensor, Tensor]:
        if c is None:
            return self.shift[0], self.log_scale[0]
        return c @ self.shift, c @ self.log_scale


class Coupling(nn.Module):
    """(a, b) -> (b * exp(s) + t, a): s and t are computed from a, and the halves change places."""

    def __init__(self, kept: int, moved: int, labels: int, hidden: int) -> None:
        """`kept` and `moved` are the sizes of a and b."""
        super().__init__()
        self.kept, self.moved = kept, moved
        self.layers = nn.Sequential(
            nn.Linear(kept + labels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.to_moves = nn.Linear(hidden, 2 * moved)
        # The first steps see N(0, I): each coupling begins as a change of places.
        nn.init.zeros_(self.to_moves.weight)
        nn.init.zeros_(self.to_moves.bias)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """[..., L] -> [..., L]."""
        kept, moved = torch.split(z, [self.kept, self.moved], dim=-1)
        log_scale, shift = self._moves(kept, c)
        return torch.cat([moved * torch.exp(log_scale) + shift, kept], dim=-1)

    def inverse(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """What `forward` made z from, and the log |det| of this direction [...]."""
        moved, kept = torch.split(z, [self.moved, self.kept], dim=-1)
        log_scale, shift = self._moves(kept, c)
        before = torch.cat([kept, (moved - shift) * torch.exp(-log_scale)], dim=-1)
        return before, -log_scale.sum(dim=-1)

    def _moves(self, kept: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.to_moves(self.layers(beside(kept, c))).chunk(2, dim=-1)
        return LARGEST_LOG_SCALE * torch.tanh(log_scale / LARGEST_LOG_SCALE), shift


def gaussian_log_density(eps: Tensor) -> Tensor:
    """log N(eps; 0, I), summed: [..., L] -> [...]."""
    return -0.5 * (eps.square() + math.log(2 * math.pi)).sum(dim=-1)
