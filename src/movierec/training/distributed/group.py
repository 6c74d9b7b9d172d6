"""Several workers that train one model, each on its own users: what they tell each other.

Users are divided, movies and weights are everywhere. A sum over a movie's raters is the sum of
the workers' sums; the gradient of the loss is the sum of the workers' gradients.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function

__all__ = [
    "SINGLE_PROCESS",
    "Group",
    "SingleProcess",
    "TorchGroup",
    "share_gradients",
    "shared_maximum",
    "shared_sum",
]

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


class SingleProcess:
    """A group of one: everything stays as it is."""

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


SINGLE_PROCESS = SingleProcess()


class TorchGroup:
    """The default process group of torch.distributed, which is there already.

    gloo on CPU, NCCL on CUDA.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._on_cuda = dist.get_backend() == "nccl"

    def sum(self, part: Tensor) -> Tensor:
        """Return the sum of all workers' tensors."""
        return self._reduced(part, dist.ReduceOp.SUM)

    def maximum(self, part: Tensor) -> Tensor:
        """Return the greatest of all workers' values at each place."""
        return self._reduced(part, dist.ReduceOp.MAX)

    def gather(self, part: Tensor) -> Tensor:
        """Return the workers' rows below each other.

        gloo takes only equal sizes: shorter parts are filled up on the way.
        """
        lengths = self._lengths(part)
        filled = self._moved(part).new_zeros(max(lengths), *part.shape[1:])
        filled[: len(part)] = part.detach()
        found = [torch.empty_like(filled) for _ in lengths]
        dist.all_gather(found, filled)
        rows = [each[:length] for each, length in zip(found, lengths, strict=True)]
        return torch.cat(rows).to(part.device)

    def agree(self, value: T) -> T:
        """Return the first worker's value."""
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def _reduced(self, part: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        total = self._moved(part.detach().clone(memory_format=torch.contiguous_format))
        dist.all_reduce(total, operation)
        return total.to(part.device)

    def _moved(self, part: Tensor) -> Tensor:
        """Return a tensor where the backend can read it: NCCL sees only its GPU."""
        return part.cuda() if self._on_cuda else part

    def _lengths(self, part: Tensor) -> list[int]:
        own = self._moved(torch.tensor([len(part)]))
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        return [int(length) for length in found]


def shared_sum(part: Tensor, group: Group) -> Tensor:
    """Return the sum of all workers' tensors; the gradient of each is the sum of theirs."""
    total: Tensor = _SharedSum.apply(part, group)
    return total


def shared_maximum(best: Tensor, empty: Tensor, group: Group) -> Tensor:
    """Return the greatest of all workers' values; the gradient goes to the worker that has it.

    Of several workers with the same value the last one wins. Where no worker has a value, 0.

    Shapes: best: (n_rows, d); empty: (n_rows,) bool, rows in which this worker has no value.
    """
    greatest: Tensor = _SharedMaximum.apply(best, empty, group)
    return greatest


def share_gradients(model: nn.Module, group: Group) -> None:
    """Give every worker the gradient of the whole loss, in one message."""
    if group.size == 1:
        return
    weights = list(model.parameters())
    parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    total = group.sum(torch.cat([part.flatten() for part in parts]))
    sizes = [weight.numel() for weight in weights]
    for weight, part in zip(weights, torch.split(total, sizes), strict=True):
        weight.grad = part.view_as(weight)


class _SharedSum(Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return group.sum(part)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.group.sum(gradient.contiguous()), None


class _SharedMaximum(Function):
    @staticmethod
    def forward(ctx: Any, best: Tensor, empty: Tensor, group: Group) -> Tensor:
        lowest = float("-inf")
        own = best.masked_fill(empty[:, None], lowest)
        greatest = group.maximum(own)
        claim = torch.where(own == greatest, float(group.rank), -1.0)
        ctx.save_for_backward(claim < group.maximum(claim))
        ctx.group = group
        return greatest.masked_fill(greatest == lowest, 0.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (lost,) = ctx.saved_tensors
        return ctx.group.sum(gradient).masked_fill(lost, 0.0), None, None
