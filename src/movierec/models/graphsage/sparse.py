"""Sums and maxima over neighbours and scores of edges, without one row per edge.

The three kernels are operators of torch's own library with a shape rule each, so that
`torch.compile` and fake tensors can trace them. Around them, autograd functions write the
backward as the product with the graph's other layout. On ML-100K (72,000 ratings, 64 dimensions)
gathering a row per edge costs several times the sparse product itself (docs/LOG.md).

The operators are defined with `torch.library.define`: its `custom_op` decorator would load
torch's compiler, which takes seconds, at the first call.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from movierec.csr import CSR

__all__ = ["edge_dot", "neighbour_max", "neighbour_sum", "row_sum"]

SPARSE_DEVICES = ("cpu", "cuda")

torch.library.define(
    "movierec::spmm", "(Tensor pointer, Tensor column, Tensor value, Tensor x) -> Tensor"
)
torch.library.define(
    "movierec::spmax", "(Tensor pointer, Tensor column, Tensor x) -> (Tensor, Tensor)"
)
torch.library.define(
    "movierec::sddmm", "(Tensor pointer, Tensor column, Tensor left, Tensor right) -> Tensor"
)


def neighbour_sum(rows: CSR, back: CSR, value: Tensor, back_value: Tensor, x: Tensor) -> Tensor:
    """Return the weighted sum of each row's neighbours; differentiable in `x` alone.

    Shapes:
        value, back_value: (n_edges,) the weight of each edge in the order of `rows` and `back`,
        the two layouts of one graph; x: (rows.n_columns, d) -> (rows.n_rows, d).
    """
    total: Tensor = _NeighbourSum.apply(x.float(), rows, back, value, back_value)
    return rows.total(total)


def neighbour_max(rows: CSR, x: Tensor) -> Tensor:
    """Return the greatest value of each row's neighbours per channel; 0 without neighbours.

    The gradient goes to one winner. Shapes: x: (rows.n_columns, d) -> (rows.n_rows, d).
    """
    best: Tensor = _NeighbourMax.apply(x.float(), rows)
    return rows.maximum(best)


def edge_dot(rows: CSR, back: CSR, back_order: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the dot product of the two ends of each edge, in the order of `rows`.

    Shapes:
        back_order: (n_edges,) place in `rows` of each edge of `back`; left: (rows.n_rows, d);
        right: (rows.n_columns, d) -> (n_edges,).
    """
    dots: Tensor = _EdgeDot.apply(left.float(), right.float(), rows, back, back_order)
    return dots


def row_sum(rows: CSR, value: Tensor) -> Tensor:
    """Return the sum of the edges' values per row, (n_edges,) -> (n_rows,); no gradient."""
    ones = value.new_ones(rows.n_columns, 1)  # the sum is a product with a column of ones
    return rows.total(_spmm(rows.pointer, rows.column, value, ones)[:, 0])


class _NeighbourSum(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, rows: CSR, back: CSR, value: Tensor, back_value: Tensor
    ) -> Tensor:
        # y = A x, so that dx = Aᵀ dy: the other layout is Aᵀ, which need not be built
        ctx.save_for_backward(back.pointer, back.column, back_value)
        return _spmm(rows.pointer, rows.column, value, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pointer, column, value = ctx.saved_tensors
        return _spmm(pointer, column, value, gradient.contiguous()), None, None, None, None


class _NeighbourMax(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: CSR) -> Tensor:
        best, winner = torch.ops.movierec.spmax(rows.pointer, rows.column, x)
        ctx.save_for_backward(winner)
        ctx.n_nodes = x.shape[0]
        return best  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (winner,) = ctx.saved_tensors
        # winner: (n_rows, d), the column whose value won each channel, -1 in rows without edges;
        # these add 0 to column 0
        gradient = gradient.masked_fill(winner < 0, 0.0)
        total = gradient.new_zeros(ctx.n_nodes, gradient.shape[1])
        return total.scatter_add(0, winner.clamp(min=0), gradient), None


class _EdgeDot(Function):
    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, rows: CSR, back: CSR, back_order: Tensor
    ) -> Tensor:
        ctx.layouts = (rows, back)
        ctx.save_for_backward(left, right, back_order)
        dots: Tensor = torch.ops.movierec.sddmm(rows.pointer, rows.column, left, right)
        return dots

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # s_e = <left_r, right_c> for edge e = (r, c): dleft = G right and dright = Gᵀ left, where G
        # is the sparse matrix of the edges' gradients, (n_edges,), in either layout
        left, right, order = ctx.saved_tensors
        rows, back = ctx.layouts
        to_left = _spmm(rows.pointer, rows.column, gradient.contiguous(), right)
        to_right = _spmm(back.pointer, back.column, gradient[order], left)
        return to_left, to_right, None, None, None


def _spmm(pointer: Tensor, column: Tensor, value: Tensor, x: Tensor) -> Tensor:
    total: Tensor = torch.ops.movierec.spmm(pointer, column, value, x)
    return total


@torch.library.impl("movierec::spmm", "default")
def _product(pointer: Tensor, column: Tensor, value: Tensor, x: Tensor) -> Tensor:
    if x.device.type in SPARSE_DEVICES:
        return _csr(pointer, column, value, x.shape[0]) @ x
    return _product_any(pointer, column, value, x)


def _product_any(pointer: Tensor, column: Tensor, value: Tensor, x: Tensor) -> Tensor:
    """Gather and add: what runs on devices without sparse products (MPS)."""
    total = x.new_zeros(len(pointer) - 1, x.shape[1])
    return total.index_add(0, _rows(pointer, column), value[:, None] * x[column])


@torch.library.impl("movierec::spmax", "default")
def _max(pointer: Tensor, column: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return _max_cpu(pointer, column, x) if x.device.type == "cpu" else _max_any(pointer, column, x)


def _max_cpu(pointer: Tensor, column: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    if not len(column):  # the kernel then returns no winners at all
        return _max_any(pointer, column, x)
    # the public torch.sparse.mm(..., reduce="amax") hides the winning edge the backward needs,
    # and the kernel behind it reports that edge only where a gradient is wanted
    matrix = _csr(pointer, column, x.new_ones(len(column)), x.shape[0])
    with torch.enable_grad():
        wanted = x.detach().requires_grad_()
        best, edge = torch.ops.aten._sparse_mm_reduce_impl(matrix, wanted, "amax")
    return best.detach(), _winner(edge, pointer, column)


def _winner(edge: Tensor, pointer: Tensor, column: Tensor) -> Tensor:
    """Return the node behind each winning edge; -1 in rows without edges."""
    node = column[edge.clamp(0, len(column) - 1)].long()
    return node.masked_fill_((pointer.diff() == 0)[:, None], -1)


def _max_any(pointer: Tensor, column: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gather and reduce: what runs on devices without the fused kernel."""
    row = _rows(pointer, column).long()[:, None].expand(-1, x.shape[1])  # (n_edges, d)
    message = x[column]  # (n_edges, d): a row per edge, which the CPU's kernel avoids
    best = x.new_zeros(len(pointer) - 1, x.shape[1])
    best = best.scatter_reduce(0, row, message, "amax", include_self=False)
    # of several equal maxima the last column wins; -1 where the edge's value is none
    candidate = torch.where(message == best.gather(0, row), column.long()[:, None], -1)
    winner = torch.full_like(best, -1, dtype=torch.int64)
    return best, winner.scatter_reduce(0, row, candidate, "amax")


@torch.library.impl("movierec::sddmm", "default")
def _dots(pointer: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
    if left.device.type not in SPARSE_DEVICES:
        return _dots_any(pointer, column, left, right)
    # the products of left and rightᵀ at the pattern's places alone
    pattern = _csr(pointer, column, left.new_zeros(len(column)), right.shape[0])
    dots: Tensor = torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0.0).values()
    return dots.clone()


def _dots_any(pointer: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Gather and multiply: what runs on devices without sparse products (MPS)."""
    return (left[_rows(pointer, column)] * right[column]).sum(1)


def _csr(pointer: Tensor, column: Tensor, value: Tensor, n_columns: int) -> Tensor:
    _swallow_beta_warning()
    size = (len(pointer) - 1, n_columns)
    return torch.sparse_csr_tensor(pointer, column, value, size, check_invariants=False)


@cache
def _swallow_beta_warning() -> None:
    """Make the process's first CSR tensor: torch warns at that one that CSR is in beta."""
    none = torch.zeros(0, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.zeros(2, dtype=torch.int64), none, none.float(), (1, 1))


def _rows(pointer: Tensor, column: Tensor) -> Tensor:
    rows = torch.arange(len(pointer) - 1, device=pointer.device, dtype=pointer.dtype)
    return rows.repeat_interleave(pointer.diff(), output_size=len(column))


def _product_shape(pointer: Tensor, column: Tensor, value: Tensor, x: Tensor) -> Tensor:
    return _one_device(pointer, column, value, x).new_empty(pointer.shape[0] - 1, x.shape[1])


def _max_shape(pointer: Tensor, column: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    best = _one_device(pointer, column, x).new_empty(pointer.shape[0] - 1, x.shape[1])
    return best, best.new_empty(best.shape, dtype=torch.int64)


def _dots_shape(pointer: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return _one_device(pointer, column, left, right).new_empty(column.shape[0])


def _one_device(*tensors: Tensor) -> Tensor:
    """Return the last tensor; the sum makes one left on another device an error."""
    torch.stack([tensor.new_zeros(1, dtype=torch.float32) for tensor in tensors])
    return tensors[-1]


torch.library.register_fake("movierec::spmm", _product_shape)
torch.library.register_fake("movierec::spmax", _max_shape)
torch.library.register_fake("movierec::sddmm", _dots_shape)
