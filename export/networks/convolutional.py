"""Convolutional encoder and decoder: two halvings of the image, two doublings back.

Doubling is a convolution to four times the channels and a rearrangement (Shi et al., "Real-Time
Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN", 2016, arXiv:1609.05158):
all arithmetic happens on the small grid, which a CPU runs faster than a transposed convolution.
"""

import torch
from torch import Tensor, nn

from export.networks.condition import beside
from service.contract.card import ImageShape

#: An image is halved twice, so the smallest grid has a quarter of its sides.
HALVINGS = 4


class ConvolutionalEncoder(nn.Module):
    """x [B, D], c [B, K] -> features [B, hidden]."""

    def __init__(self, shape: ImageShape, labels: int, maps: int, hidden: int) -> None:
        super().__init__()
        self.shape, self.grid = shape, small_grid(shape)
        self.layers = nn.Sequential(
            nn.Conv2d(shape.channels, maps // 2, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(maps // 2, maps, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        height, width = self.grid
        self.to_features = nn.Sequential(
            nn.Linear(maps * height * width + labels, hidden), nn.SiLU()
        )

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        image = self._padded(to_image(x, self.shape))  # [B, C, 4h, 4w]
        features: Tensor = self.to_features(beside(self.layers(image).flatten(1), c))
        return features

    def _padded(self, image: Tensor) -> Tensor:
        height, width = (HALVINGS * side for side in self.grid)
        return nn.functional.pad(
            image, (0, width - self.shape.width, 0, height - self.shape.height)
        )


class ConvolutionalDecoder(nn.Module):
    """z [..., L], c [..., K] -> logits [..., D]."""

    def __init__(
        self, shape: ImageShape, labels: int, latent_dim: int, maps: int, hidden: int
    ) -> None:
        super().__init__()
        self.shape, self.grid, self.maps = shape, small_grid(shape), maps
        height, width = self.grid
        self.to_grid = nn.Sequential(
            nn.Linear(latent_dim + labels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, maps * height * width),
            nn.ReLU(),
        )
        self.layers = nn.Sequential(
            nn.Conv2d(maps, 4 * (maps // 2), 3, padding=1),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Conv2d(maps // 2, 4 * shape.channels, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        around = z.shape[:-1]
        height, width = self.grid
        grid = self.to_grid(beside(z, c)).reshape(-1, self.maps, height, width)
        image = self.layers(grid)[:, :, : self.shape.height, : self.shape.width]  # [B, C, H, W]
        return torch.permute(image, (0, 2, 3, 1)).reshape(*around, self.shape.size_bytes)


def small_grid(shape: ImageShape) -> tuple[int, int]:
    """Height and width of the smallest feature map: a quarter, rounded up."""
    return -(-shape.height // HALVINGS), -(-shape.width // HALVINGS)


def to_image(x: Tensor, shape: ImageShape) -> Tensor:
    """Flat pixels [B, H*W*C] -> [B, C, H, W], as torch convolves them."""
    return x.reshape(-1, shape.height, shape.width, shape.channels).permute(0, 3, 1, 2)
