"""The conditional variational autoencoder.

Kingma & Welling, "Auto-Encoding Variational Bayes", 2014 (arXiv:1312.6114): encoder, latents, loss.
Sohn, Lee & Yan, "Learning Structured Output Representation using Deep Conditional Generative
Models", 2015: encoder, decoder and prior also see the condition c.
"""

import math

import torch
from torch import Tensor, nn

from export.likelihood import Bernoulli, DiscretisedLogistic
from export.networks.prior import FlowPrior, StandardPrior, gaussian_log_density


class CVAE(nn.Module):
    """Q(z|x,c), p(z|c) and P(x|z,c), one stochastic layer.

    In the comments: B images, D pixels, K labels, L latent dimensions, S samples for each image.
    The condition c is float32 [B, K], or None in a model without labels.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: StandardPrior | FlowPrior,
        likelihood: Bernoulli | DiscretisedLogistic,
        features: int,
        latent_dim: int,
        labels: int,
    ) -> None:
        super().__init__()
        self.latent_dim, self.labels = latent_dim, labels
        self.encoder, self.decoder = encoder, decoder
        self.to_mu = nn.Linear(features, latent_dim)
        self.to_logvar = nn.Linear(features, latent_dim)
        self.prior, self.likelihood = prior, likelihood

    def encode(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Q(z|x,c) = N(mu, diag(exp(logvar))): x [B, D] in 0..1 -> mu, logvar [B, L]."""
        features = self.encoder(x, c)
        return self.to_mu(features), self.to_logvar(features)

    def decode(self, z: Tensor, c: Tensor | None) -> Tensor:
        """z [..., L] -> logits [..., D]; their sigmoid is the mean image."""
        logits: Tensor = self.decoder(z, c)
        return logits

    def draw(self, eps: Tensor, c: Tensor | None) -> Tensor:
        """eps ~ N(0, I) [B, L] -> logits [B, D] of images x ~ p(x|c)."""
        return self.decode(self.prior.to_latent(eps, c), c)

    def log_terms(self, x: Tensor, c: Tensor | None, eps: Tensor) -> tuple[Tensor, Tensor]:
        """log P(x|z,c) and log Q(z|x,c) - log p(z|c) for z = mu + sigma eps.

        x [B, D], eps ~ N(0, I) [B, L] or [S, B, L] -> twice [B] or [S, B].
        """
        mu, logvar = self.encode(x, c)
        z = reparameterise(mu, logvar, eps)
        c = c if c is None else c.expand(*eps.shape[:-1], c.shape[-1])
        # The Jacobian of eps -> z is diag(sigma).
        log_q = gaussian_log_density(eps) - 0.5 * logvar.sum(dim=-1)
        noise, log_det = self.prior.to_noise(z, c)
        log_p = gaussian_log_density(noise) + log_det
        return self.likelihood.log_probability(x, self.decode(z, c)), log_q - log_p


def reparameterise(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """z = mu + sigma * eps: a sample that gradients pass (Kingma & Welling, section 2.4)."""
    return mu + torch.exp(0.5 * logvar) * eps


def importance_bound(log_likelihood: Tensor, log_ratio: Tensor) -> Tensor:
    """log 1/S sum_s P(x|z_s,c) p(z_s|c) / Q(z_s|x,c): [S, B] twice -> [B], at most log p(x|c).

    Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2015 (arXiv:1509.00519),
    equation 8. With S = 1 it is the ELBO.
    """
    samples = len(log_likelihood)
    return torch.logsumexp(log_likelihood - log_ratio, dim=0) - math.log(samples)
