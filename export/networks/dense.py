"""Dense encoder and decoder: two hidden layers each, as in the textbook."""

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


def two_layers(inputs: int, hidden: int) -> nn.Sequential:
    """Linear and ReLU, twice: [..., inputs] -> [..., hidden]."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
