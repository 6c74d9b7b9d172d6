"""The workers of one training that speak through torch.distributed: gloo on CPU, NCCL on CUDA."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["TorchGroup"]

T = TypeVar("T")


class TorchGroup:
    """The default process group, which is there already, as a `movierec.process_group.Group`."""

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
