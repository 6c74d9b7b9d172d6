"""A moving average of the weights: what is evaluated and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


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
