"""Dropout from eight random bits per entry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["dropout"]

LEVELS = 256


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Drop entries of `x` and scale the others so that the mean stays; of the same shape.

    On a CPU torch draws a double per entry, which took a tenth of a training step; a byte does,
    at the price of a rate rounded to 1/256 (docs/LOG.md).
    """
    if not training or not rate or x.device.type != "cpu":
        return F.dropout(x, rate, training)
    dropped = min(max(round(rate * LEVELS), 1), LEVELS - 1)
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * (keep * (LEVELS / (LEVELS - dropped)))
