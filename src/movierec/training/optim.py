"""How weights move: the update rules, the learning rate's schedule, the average that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.network import GraphSage

__all__ = ["MuonAdamW", "WeightAverage", "make_optimizer", "make_schedule", "orthogonalised"]

MOMENTUM = 0.95
# Jordan et al.'s quintic; three rounds did as well as their five (docs/LOG.md)
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 3
SMALLEST_NORM = 1e-7
ADAM_RMS = 0.2  # a typical AdamW step: with it both rules share one learning rate
FEWEST_STEPS_OF_A_CYCLE = 4


def make_optimizer(model: GraphSage) -> torch.optim.Optimizer:
    """Return the update rule of a model's hyperparameters over its weights."""
    config = model.config
    if config.optimizer == "muon":
        return MuonAdamW(model.parameters(), config.learning_rate, config.weight_decay)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def make_schedule(
    optimizer: torch.optim.Optimizer, config: SageHyperparameters, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate's schedule over so many steps, to be moved on after each."""
    if config.schedule == "constant" or steps < FEWEST_STEPS_OF_A_CYCLE:
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # torch divides by zero where either half of the cycle has a single step
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=steps,
        pct_start=max(0.1, 2 / steps),
    )


class WeightAverage:
    """Exponential moving average of a module's weights.

    The decay grows with the steps, min(decay, (1 + t) / (10 + t)), so that the first weights
    are soon forgotten. With decay 0 the average is the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.steps = 0
        self._live = list(model.parameters())
        self._mean = [weight.detach().clone() for weight in self._live] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step into the average."""
        if not self.decay:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._mean, [*self._live], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model for the time being."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, mean in zip(self._live, self._mean, strict=False):
            held = weight.clone()
            weight.copy_(mean)
            mean.copy_(held)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the averaged weights as a state dict."""
        with self.applied():
            return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def state(self) -> dict[str, object]:
        """Return what `restore` needs."""
        return {"steps": self.steps, "mean": self._mean}

    @torch.no_grad()
    def restore(self, state: dict[str, object]) -> None:
        """Go on from a saved average."""
        self.steps = int(state["steps"])  # type: ignore[call-overload]
        for mean, saved in zip(self._mean, state["mean"], strict=True):  # type: ignore[call-overload]
            mean.copy_(saved)


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
