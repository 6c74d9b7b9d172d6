"""The softmax over a whole catalogue, in one buffer of users times movies."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["catalogue_softmax"]

Places = tuple[Tensor, Tensor]


def catalogue_softmax(
    user: Tensor, movie: Tensor, movie_bias: Tensor, seen: Places, targets: Places
) -> Tensor:
    """Return the mean over the targets of -log softmax(user @ movie.T + movie_bias)[target].

    A user's seen movies are no candidates, unless they are targets. The gradient is written out:
    softmax minus targets, made in the buffer of the scores. Through autograd's own operations it
    takes several such buffers and twice the time on a CPU (docs/LOG.md).

    Shapes: user: (n, d); movie: (m, d); movie_bias: (m,); seen, targets: row and column of each,
    (n_seen,) and (n_targets,) int64.
    """
    vectors = user.float(), movie.float(), movie_bias.float()
    with _full_precision(user.device.type):
        loss: Tensor = _Softmax.apply(*vectors, *seen, *targets)
    return loss


def _full_precision(device_type: str) -> AbstractContextManager[Any]:
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


class _Softmax(Function):
    @staticmethod
    def forward(
        ctx: Any, user: Tensor, movie: Tensor, bias: Tensor,
        seen_row: Tensor, seen_column: Tensor, row: Tensor, column: Tensor,
    ) -> Tensor:  # fmt: skip
        scores = torch.addmm(bias, user, movie.t())
        wanted = scores[row, column]
        scores[seen_row, seen_column] = float("-inf")
        scores[row, column] = wanted
        peak = scores.amax(1, keepdim=True)
        share = scores.sub_(peak).exp_()
        total = share.sum(1)
        ctx.save_for_backward(user, movie, share, total, row, column)
        return (total.log()[row] + peak[row, 0] - wanted).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        user, movie, share, total, row, column = ctx.saved_tensors
        each = (gradient / len(row)).expand(len(row))
        asked = torch.zeros_like(total).index_add_(0, row, each)
        to_scores = share * (asked / total)[:, None]
        to_scores.index_put_((row, column), -each, accumulate=True)
        to_user, to_movie = to_scores @ movie, to_scores.t() @ user
        return to_user, to_movie, to_scores.sum(0), None, None, None, None
