"""The layer of a GraphSAGE: aggregators of a node's neighbours, the update, and dropout.

Every aggregator is a few sparse products; formulas.py has the same ones in NumPy for one user.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.csr import CSR
from movierec.models.graphsage.formulas import (
    LOWEST_EXPONENT,
    POWER,
    POWER_RANGE,
    SMALLEST_VARIANCE,
)
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.sparse import neighbour_max, neighbour_sum
from movierec.models.graphsage.statistics import NodeStatistics

__all__ = ["LINEAR_AGGREGATORS", "SageLayer", "aggregate", "dropout"]

STATISTICS_WIDTH, TREND_WIDTH = 2, 1
DROPOUT_LEVELS = 256
LARGEST = torch.finfo(torch.float32).max


class SageLayer(nn.Module):
    """One aggregate-and-update step for one node type.

    With plain messages and one aggregator it computes torch-geometric's `SAGEConv`.
    """

    def __init__(self, config: SageHyperparameters) -> None:
        super().__init__()
        width = config.hidden_dim
        self.aggregators = config.aggregators
        self.uses_ratings = config.messages == "rating"
        self.uses_trend = config.uses_trend
        self.liking_exponent = config.liking_exponent
        n_messages = len(self.aggregators) + self.uses_ratings
        extra = STATISTICS_WIDTH + TREND_WIDTH * self.uses_trend if self.uses_ratings else 0
        self.neighbour = nn.Linear(n_messages * width + extra, width)
        self.own = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width) if config.normalisation == "layer" else nn.Identity()

    def forward(
        self, rows: CSR, back: CSR, statistics: NodeStatistics | None, own: Tensor, other: Tensor
    ) -> Tensor:
        """Return the updated states of the row nodes, before the activation.

        `statistics` are needed for rating messages alone.
        Shapes: own: (rows.n_rows, d); other: (rows.n_columns, d) -> (rows.n_rows, d).
        """
        # each message is (n_rows, d); the statistics' features are (n_rows, 2 or 3)
        messages = [aggregate(name, rows, back, other) for name in self.aggregators]
        if statistics is not None:
            messages += [
                statistics.rating_weighted_sum(rows, back, other, self.liking_exponent),
                statistics.features(trend=self.uses_trend),
            ]
        update: Tensor = self.norm(self.own(own) + self.neighbour(torch.cat(messages, dim=1)))
        return update


def aggregate(name: str, rows: CSR, back: CSR, x: Tensor) -> Tensor:
    """Return one summary per row node of its neighbours' states.

    Without neighbours it is 0, for the power mean its lower bound 0.01.

    Shapes: x: (rows.n_columns, d) -> (rows.n_rows, d).
    """
    return _AGGREGATORS[name](rows, back, x)


def _scaled_sum(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    """Neighbours outside the graph count as if they were like those in it."""
    total = _sum(rows, back, x)
    if rows.outside_degree is None:
        return total
    return total * (rows.full_degree / rows.degree.clamp(min=1))[:, None]


def _sum(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    ones = torch.ones(len(rows.column), device=x.device)
    return neighbour_sum(rows, back, ones, ones, x)


def _mean(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    return _sum(rows, back, x) / rows.degree.clamp(min=1)[:, None]


def _max(rows: CSR, back: CSR, x: Tensor) -> Tensor:  # noqa: ARG001
    return neighbour_max(rows, x)


def _softmax(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    """Sum of the states weighted by their own softmax per channel (temperature 1).

    States more than 80 below the channel's maximum count equally among themselves.
    """
    # any shift cancels in the ratio; the channel's maximum, (d,), keeps exp() finite. The row
    # added by F.pad is for a graph without nodes on this side
    peak = rows.peak(F.pad(x.detach(), (0, 0, 0, 1), value=-LARGEST).amax(0))
    # numerator and denominator in one sparse product, (n_rows, 2d)
    weight = (x - peak).clamp(min=LOWEST_EXPONENT).exp()
    total = _sum(rows, back, torch.cat([weight * x, weight], dim=1))
    weighted, norm = total.chunk(2, dim=1)
    return weighted / norm.clamp(min=torch.finfo(norm.dtype).tiny)


def _power_mean(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    mean = _mean(rows, back, x.clamp(*POWER_RANGE).pow(POWER))
    return mean.clamp(*POWER_RANGE).pow(1 / POWER)


def _std(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    # E[x²] - E[x]², both in one sparse product
    mean, square = _mean(rows, back, torch.cat([x, x * x], dim=1)).chunk(2, dim=1)
    variance = square - mean * mean
    return (
        variance.clamp(min=SMALLEST_VARIANCE).sqrt().masked_fill(variance <= SMALLEST_VARIANCE, 0.0)
    )


_AGGREGATORS: dict[str, Callable[[CSR, CSR, Tensor], Tensor]] = {
    "max": _max,
    "mean": _mean,
    "sum": _scaled_sum,
    "softmax": _softmax,
    "powermean": _power_mean,
    "std": _std,
}
LINEAR_AGGREGATORS = {"mean", "sum"}  # of which dropout's mean passes through


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Drop entries of `x` and scale the others so that the mean stays; of the same shape.

    On a CPU torch draws a double per entry, which took a tenth of a training step; a byte does,
    at the price of a rate rounded to 1/256 (docs/LOG.md).
    """
    if not training or not rate or x.device.type != "cpu":
        return F.dropout(x, rate, training)
    dropped = min(max(round(rate * DROPOUT_LEVELS), 1), DROPOUT_LEVELS - 1)
    # eight random bytes from each 64-bit number; a byte below `dropped` of 256 drops its entry
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * (keep * (DROPOUT_LEVELS / (DROPOUT_LEVELS - dropped)))
