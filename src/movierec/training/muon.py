"""Muon for the weight matrices, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MuonAdamW", "orthogonalised"]

MOMENTUM = 0.95
# Jordan et al.'s quintic; three rounds did as well as their five (docs/LOG.md)
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 3
SMALLEST_NORM = 1e-7
ADAM_RMS = 0.2  # a typical AdamW step: with it both rules share one learning rate


class MuonAdamW(torch.optim.AdamW):
    """Steps of equal size in every direction of a matrix; biases, scales and rows as AdamW.

    Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum
    by its nearest orthogonal matrix, so that rare directions are learnt as fast as frequent
    ones. It is scaled by 0.2 sqrt(max(rows, columns)) to the size of AdamW's steps (Liu et al.,
    Muon is Scalable for LLM Training, arXiv:2502.16982). `torch.optim.Muon` does the same for
    matrices alone and in bfloat16, which many CPUs only emulate; a schedule and a checkpoint
    would need to know of two optimisers.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        listed = list(weights)
        self.matrices = [weight for weight in listed if _is_matrix(weight)]
        others = [weight for weight in listed if not _is_matrix(weight)]
        groups = [{"params": others}, {"params": self.matrices}]
        super().__init__([g for g in groups if g["params"]], lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one update of every weight that has a gradient; a closure is evaluated first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[-1]
        gradients = {weight: weight.grad for weight in self.matrices if weight.grad is not None}
        for weight, gradient in gradients.items():
            state = self.state[weight]
            if not state:  # AdamW looks for a step in every state that it reads back
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(weight))
            momentum = state["momentum"]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, MOMENTUM))
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update, alpha=-group["lr"] * ADAM_RMS * max(weight.shape) ** 0.5)
            weight.grad = None  # so that AdamW passes it by
        super().step()
        for weight, gradient in gradients.items():
            weight.grad = gradient
        return loss


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return about U V^T of the singular value decomposition U S V^T; of the same shape."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if tall else matrix
    x = x / x.norm().clamp(min=SMALLEST_NORM)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if tall else x


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim == 2 and min(weight.shape) > 1
