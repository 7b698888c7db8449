"""The conditional variational autoencoder, dense, as in the textbook.

Kingma & Welling, "Auto-Encoding Variational Bayes", 2014 (arXiv:1312.6114): encoder, latents, loss.
Sohn, Lee & Yan, "Learning Structured Output Representation using Deep Conditional Generative
Models", 2015: both halves also see the condition c. Here the prior stays p(z|c) = N(0, I), so that
latents need no label.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from service.contract.card import ImageShape


class CVAE(nn.Module):
    """Q(z|x,c) and P(x|z,c), two hidden layers each.

    In the comments: B images, D pixels, K labels, L latent dimensions.
    """

    def __init__(self, *, shape: ImageShape, labels: int, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.labels = labels
        pixels = shape.size_bytes
        self.encoder = _two_layers(pixels + labels, hidden)
        self.to_mu = nn.Linear(hidden, latent_dim)
        self.to_logvar = nn.Linear(hidden, latent_dim)
        self.decoder = _two_layers(latent_dim + labels, hidden)
        self.to_logits = nn.Linear(hidden, pixels)

    def encode(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Q(z|x,c) = N(mu, diag(exp(logvar))): x [B, D], c [B, K] one-hot -> mu, logvar [B, L]."""
        hidden = self.encoder(torch.cat([x, c], dim=1))
        return self.to_mu(hidden), self.to_logvar(hidden)

    def decode(self, z: Tensor, c: Tensor) -> Tensor:
        """P(x|z,c) = Bernoulli(sigmoid(logits)): z [B, L], c [B, K] -> logits [B, D]."""
        logits: Tensor = self.to_logits(self.decoder(torch.cat([z, c], dim=1)))
        return logits

    def forward(self, x: Tensor, c: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """logits [B, D], mu and logvar [B, L]; `eps` [B, L] ~ N(0, I) is an argument."""
        mu, logvar = self.encode(x, c)
        return self.decode(reparameterise(mu, logvar, eps), c), mu, logvar


def reparameterise(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """z = mu + sigma * eps [B, L]: a sample that gradients pass (Kingma & Welling, section 2.4)."""
    return mu + torch.exp(0.5 * logvar) * eps


def elbo_terms(x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of the negative ELBO in nats, summed per image: reconstruction [B], KL [B].

    -log P(x|z,c)           = -sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)]
    KL(Q(z|x,c) || N(0, I)) = -1/2 sum_l [1 + log sigma_l^2 - mu_l^2 - sigma_l^2]

    Kingma & Welling 2014, appendix C.1 (Bernoulli) and appendix B.
    """
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(
        dim=1
    )  # [B]
    kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(dim=1)  # [B]
    return reconstruction, kl


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """int64 [B] -> float32 [B, classes]."""
    return F.one_hot(labels, classes).to(torch.float32)


def _two_layers(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
