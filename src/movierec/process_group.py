"""Several workers that train one model, each on its own users: what they tell each other.

Users are divided, movies and weights are everywhere. A sum over a movie's raters is the sum of
the workers' sums; the gradient of the loss is the sum of the workers' gradients.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from torch import Tensor
from torch.autograd import Function

__all__ = ["ALONE", "Alone", "Group", "shared_sum"]

T = TypeVar("T")


class Group(Protocol):
    """The workers of one training, as one of them sees them.

    Every method is called by all workers in the same order with tensors of the same shape and
    type, and returns the same on each.
    """

    rank: int
    size: int

    def sum(self, part: Tensor) -> Tensor:
        """Return the sum of all workers' tensors, of any shape; no gradient."""
        ...

    def maximum(self, part: Tensor) -> Tensor:
        """Return the greatest of all workers' values at each place; no gradient."""
        ...

    def gather(self, part: Tensor) -> Tensor:
        """Return the workers' rows below each other, by rank; only the first size may differ."""
        ...

    def agree(self, value: T) -> T:
        """Return the first worker's value: plain data that can be pickled."""
        ...


class Alone:
    """A single worker; everything stays as it is."""

    rank = 0
    size = 1

    def sum(self, part: Tensor) -> Tensor:
        """Return the tensor."""
        return part

    def maximum(self, part: Tensor) -> Tensor:
        """Return the tensor."""
        return part

    def gather(self, part: Tensor) -> Tensor:
        """Return the tensor."""
        return part

    def agree(self, value: T) -> T:
        """Return the value."""
        return value


ALONE = Alone()


def shared_sum(part: Tensor, group: Group) -> Tensor:
    """Return the sum of all workers' tensors; the gradient of each is the sum of theirs."""
    if group.size == 1:
        return part
    total: Tensor = _SharedSum.apply(part, group)
    return total


class _SharedSum(Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return group.sum(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.group.sum(gradient.contiguous()), None
