"""Summaries of a node's neighbours, each as a few sparse products.

The definitions are torch-geometric's (`torch_geometric.nn.aggr`), with which the tests compare.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.graph import CSR
from movierec.models.graphsage.sparse import neighbour_max, neighbour_sum

__all__ = ["aggregate"]

POWER = 2.0
# torch-geometric's bounds of the power mean, before and after the mean
POWER_RANGE = (1e-4, 100.0)
LARGEST = torch.finfo(torch.float32).max
LOWEST_EXPONENT = -80.0  # exp(-87) is about the smallest float32 that keeps its precision
SMALLEST_VARIANCE = 1e-5  # torch-geometric's: below it the deviation is 0, without a gradient


def aggregate(name: str, rows: CSR, back: CSR, x: Tensor) -> Tensor:
    """Return one summary per row node of its neighbours' states.

    Without neighbours it is 0, for the power mean its lower bound 0.01.

    Shapes: x: (rows.n_columns, d) -> (rows.n_rows, d).
    """
    return _AGGREGATORS[name](rows, back, x)


def _whole_sum(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    """Neighbours outside the graph count as if they were like those in it."""
    total = _sum(rows, back, x)
    if rows.n_elsewhere is None:
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
    # any shift cancels in the ratio; the channel's maximum keeps exp() finite
    peak = rows.group.maximum(F.pad(x.detach(), (0, 0, 0, 1), value=-LARGEST).amax(0))
    weight = (x - peak).clamp(min=LOWEST_EXPONENT).exp()
    total = _sum(rows, back, torch.cat([weight * x, weight], dim=1))
    weighted, norm = total.chunk(2, dim=1)
    return weighted / norm.clamp(min=torch.finfo(norm.dtype).tiny)


def _power_mean(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    mean = _mean(rows, back, x.clamp(*POWER_RANGE).pow(POWER))
    return mean.clamp(*POWER_RANGE).pow(1 / POWER)


def _std(rows: CSR, back: CSR, x: Tensor) -> Tensor:
    mean, square = _mean(rows, back, torch.cat([x, x * x], dim=1)).chunk(2, dim=1)
    variance = square - mean * mean
    return (
        variance.clamp(min=SMALLEST_VARIANCE).sqrt().masked_fill(variance <= SMALLEST_VARIANCE, 0.0)
    )


_AGGREGATORS: dict[str, Callable[[CSR, CSR, Tensor], Tensor]] = {
    "max": _max,
    "mean": _mean,
    "sum": _whole_sum,
    "softmax": _softmax,
    "powermean": _power_mean,
    "std": _std,
}
