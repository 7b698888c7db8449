"""The condition c: a label as a one-hot row, or None in a model without labels."""

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(label_ids: Tensor, labels: int) -> Tensor | None:
    """int64 [B] -> float32 [B, K]; None where K is 0."""
    return F.one_hot(label_ids, labels).to(torch.float32) if labels else None


def beside(x: Tensor, c: Tensor | None) -> Tensor:
    """x [..., D] and c [..., K] side by side, [..., D + K]."""
    return x if c is None else torch.cat([x, c], dim=-1)
