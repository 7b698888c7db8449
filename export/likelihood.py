"""log P(x|z,c): how probable an image is, given what the decoder says of each pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Half a grey level, the way from a level's middle to its edge.
HALF_LEVEL = 0.5 / 255


class Bernoulli(nn.Module):
    """Pixels as probabilities of white, which grey levels only resemble: right for binary images.

    Kingma & Welling 2014, appendix C.1. In nats; of grey images it is a cross-entropy, no density.
    """

    def log_probability(self, x: Tensor, logits: Tensor) -> Tensor:
        """x in 0..1 and logits [..., D] -> [...]."""
        return -F.binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).sum(dim=-1)


class DiscretisedLogistic(nn.Module):
    """Pixels as 256 levels around a mean, with one learned spread for each channel: calibrated.

    Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016
    (arXiv:1606.04934), section 5.2: the mass that a logistic distribution puts on one level.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # exp(-2.5) is a spread of a dozen levels: where untrained means lie, gradients are alive.
        self.log_spread = nn.Parameter(torch.full((channels,), -2.5))

    def log_probability(self, x: Tensor, logits: Tensor) -> Tensor:
        """x in 0..1 and logits [..., D] -> [...]."""
        spread = torch.exp(self.log_spread).repeat(x.shape[-1] // len(self.log_spread))  # [D]
        distance = x - torch.sigmoid(logits)
        above = F.logsigmoid((distance + HALF_LEVEL) / spread)
        below = F.logsigmoid((HALF_LEVEL - distance) / spread)
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), and a - b is one level wide.
        within = above + below + torch.log(-torch.expm1(-2 * HALF_LEVEL / spread))
        # Black and white take the tails that no level is left for.
        white = torch.where(x > 1 - HALF_LEVEL, below, within)
        return torch.where(x < HALF_LEVEL, above, white).sum(dim=-1)
