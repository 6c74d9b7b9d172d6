"""The pattern of a sparse matrix: which entries there are, row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

__all__ = ["CSR"]


@dataclass(frozen=True, eq=False)
class CSR:
    """The pattern of a sparse matrix in CSR form.

    The graph at hand may be a sample of a larger one; then `outside_degree` says how many visible
    edges a row has outside it. `total`, `maximum` and `peak` complete what was reduced over the
    edges at hand. Here these are all edges, so that nothing is to be done; where workers share
    the edges of a row, `training.distributed` overrides the three.

    Shapes:
        pointer: (n_rows + 1,) int32 or int64; column: (n_edges,) of the same type;
        outside_degree: (n_rows,) float32 or None.
    """

    pointer: Tensor
    column: Tensor
    n_columns: int
    outside_degree: Tensor | None = None

    @classmethod
    def of_edges(cls, row: Tensor, column: Tensor, n_rows: int, n_columns: int) -> Self:
        """Make the pattern of edges whose rows ascend; (n_edges,) each."""
        starts = torch.arange(n_rows + 1, device=row.device, dtype=row.dtype)
        pointer = torch.searchsorted(row.contiguous(), starts).to(row.dtype)
        return cls(pointer, column.contiguous(), n_columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.pointer) - 1

    @cached_property
    def degree(self) -> Tensor:
        """Number of edges per row, (n_rows,) float32."""
        return self.total(self.pointer.diff().to(torch.float32))

    @property
    def full_degree(self) -> Tensor:
        """Number of visible edges per row, those outside the graph too, (n_rows,) float32."""
        return self.degree if self.outside_degree is None else self.degree + self.outside_degree

    @property
    def row(self) -> Tensor:
        """Row of each edge, (n_edges,)."""
        rows = torch.arange(self.n_rows, device=self.pointer.device, dtype=self.pointer.dtype)
        return rows.repeat_interleave(self.pointer.diff(), output_size=len(self.column))

    def total(self, part: Tensor) -> Tensor:
        """Complete sums over edges, of any shape; differentiable."""
        return part

    def maximum(self, part: Tensor) -> Tensor:
        """Complete the maxima over each row's edges, (n_rows, d); differentiable."""
        return part

    def peak(self, part: Tensor) -> Tensor:
        """Complete a maximum over the columns' nodes, of any shape; no gradient."""
        return part

    def transposed(self) -> tuple[CSR, Tensor]:
        """Return the pattern with rows and columns exchanged, and which edge each of its edges is.

        On a CPU by SciPy, which counts instead of sorting: ten times as fast. Tensors that only
        pretend to be (under `FakeTensorMode`) have nothing to count.
        """
        kind = self.column.dtype
        if self.column.device.type != "cpu" or type(self.column) is not Tensor:
            order = self.column.argsort(stable=True)
            ends = self.column[order], self.row[order]
            return CSR.of_edges(*ends, self.n_columns, self.n_rows), order.to(kind)
        # the values that SciPy carries along are the edges' numbers, which tell where each went
        edges = np.arange(len(self.column), dtype=self.column.numpy().dtype)
        matrix = (edges, self.column.numpy(), self.pointer.numpy())
        found = sparse.csr_matrix(matrix, shape=(self.n_rows, self.n_columns)).tocsc()
        parts = (found.indptr, found.indices, found.data)
        pointer, column, order = (torch.from_numpy(part).to(kind) for part in parts)
        return CSR(pointer, column, self.n_rows), order

    def keep(self, mask: Tensor) -> CSR:
        """Return the pattern with only the edges where `mask` (n_edges,) is true."""
        kept_before = F.pad(mask.cumsum(0, dtype=self.pointer.dtype), (1, 0))
        return replace(self, pointer=kept_before[self.pointer], column=self.column[mask])

    def to(self, device: torch.device) -> CSR:
        """Return the pattern on a device."""
        return replace(
            self,
            pointer=self.pointer.to(device),
            column=self.column.to(device),
            outside_degree=None if self.outside_degree is None else self.outside_degree.to(device),
        )
