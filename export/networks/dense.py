"""Dense encoder and decoders: two hidden layers each, as in the textbook."""

import torch
from torch import Tensor, nn

from export.networks.condition import beside


class DenseEncoder(nn.Module):
    """x [..., D], c [..., K] -> features [..., hidden]."""

    def __init__(self, pixels: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.layers = two_layers(pixels + labels, hidden)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        features: Tensor = self.layers(beside(x, c))
        return features


class DenseDecoder(nn.Module):
    """z [..., L], c [..., K] -> logits [..., D]."""

    def __init__(self, pixels: int, labels: int, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = two_layers(latent_dim + labels, hidden)
        self.to_logits = nn.Linear(hidden, pixels)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        logits: Tensor = self.to_logits(self.layers(beside(z, c)))
        return logits


class SkipDecoder(nn.Module):
    """The dense decoder with z and c beside the input of every layer.

    Dieng et al., "Avoiding Latent Variable Collapse with Generative Skip Models", 2019
    (arXiv:1807.04863): the latent keeps a short way to the pixels.
    """

    def __init__(self, pixels: int, labels: int, latent_dim: int, hidden: int) -> None:
        super().__init__()
        seen = latent_dim + labels
        self.first, self.second = nn.Linear(seen, hidden), nn.Linear(hidden + seen, hidden)
        self.to_logits = nn.Linear(hidden + seen, pixels)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """z [..., L], c [..., K] -> logits [..., D]."""
        seen = beside(z, c)
        hidden = torch.relu(self.first(seen))
        hidden = torch.relu(self.second(torch.cat([hidden, seen], dim=-1)))
        logits: Tensor = self.to_logits(torch.cat([hidden, seen], dim=-1))
        return logits


def two_layers(inputs: int, hidden: int) -> nn.Sequential:
    """Linear and ReLU, twice: [..., inputs] -> [..., hidden]."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
