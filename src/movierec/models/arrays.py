"""What models made of plain arrays share: reading arrays, lists of ratings, scores, threads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError, EmptyDataError
from movierec.models.protocol import Arrays

__all__ = [
    "Float64Array",
    "NamedArrays",
    "RatingLists",
    "below_kth",
    "floats",
    "integers",
    "one_thread",
    "read_only",
    "require_ratings",
    "scale_array",
    "scale_from",
]

GROUP = 16  # movies whose maximum is taken together

Float64Array: TypeAlias = npt.NDArray[np.float64]
NamedArrays: TypeAlias = Mapping[str, FloatArray | IntArray]


@dataclass(frozen=True, eq=False)
class RatingLists:
    """The ratings of every row (a user, or a movie), each row in the order they came in.

    Shapes:
        start: (n_rows + 1,) int64, row r has the positions start[r]…start[r + 1];
        index: (n,) int64, the other side of each rating; rating: (n,) float32 stars.
    """

    start: IntArray
    index: IntArray
    rating: FloatArray

    @classmethod
    def build(
        cls, row: IntArray, index: IntArray, rating: FloatArray, *, n_rows: int
    ) -> RatingLists:
        """Group ratings by row; a later rating of a pair replaces an earlier one."""
        width = int(index.max(initial=0)) + 1
        keys = row * width + index
        if (keys[1:] > keys[:-1]).all():  # as in GroupLens' large files
            start = np.searchsorted(row, np.arange(n_rows + 1)).astype(np.int64)
            return cls(start, index, rating)
        # np.unique keeps the first of equal keys, so it reads the ratings backwards
        _, last = np.unique(keys[::-1], return_index=True)
        kept = np.sort(len(row) - 1 - last)
        kept = kept[np.argsort(row[kept], kind="stable")]
        start = np.searchsorted(row[kept], np.arange(n_rows + 1)).astype(np.int64)
        return cls(start, index[kept], rating[kept])

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def rows(self) -> IntArray:
        """The row of each rating, (n,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def of(self, row: int) -> slice:
        """Return where a row's ratings lie."""
        return slice(int(self.start[row]), int(self.start[row + 1]))

    def extended(self, row: IntArray, index: IntArray, rating: FloatArray) -> RatingLists:
        """Return the lists with these ratings added at the end of their rows."""
        return RatingLists.build(
            np.concatenate([self.rows, row]),
            np.concatenate([self.index, index]),
            np.concatenate([self.rating, rating]),
            n_rows=len(self),
        )

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        return {"start": self.start, "index": self.index, "rating": self.rating}

    @classmethod
    def from_arrays(cls, arrays: NamedArrays, *, n_columns: int) -> RatingLists:
        """Bring the lists back from `arrays()`.

        Raises:
            ArtifactError: an array is missing, or points outside the others.

        """
        lists = cls(integers(arrays, "start"), integers(arrays, "index"), floats(arrays, "rating"))
        if not lists._is_sound(n_columns):
            raise ArtifactError("The model's lists of ratings contradict each other.")
        return lists

    def _is_sound(self, n_columns: int) -> bool:
        ends = (0, len(self.index))
        return (
            self.start.ndim == 1
            and len(self.start) > 0
            and self.index.shape == self.rating.shape == (len(self.index),)
            and (int(self.start[0]), int(self.start[-1])) == ends
            and bool((np.diff(self.start) >= 0).all())
            and bool(((self.index >= 0) & (self.index < n_columns)).all())
        )


def floats(arrays: NamedArrays, name: str, size: int | None = None) -> FloatArray:
    """Return the float32 array of this name, memory-mapped if it came so.

    Raises:
        ArtifactError: it is missing, or is not a vector of `size` numbers.

    """
    return np.asarray(_required(arrays, name, size), np.float32)


def integers(arrays: NamedArrays, name: str, size: int | None = None) -> IntArray:
    """Return the int64 array of this name; ArtifactError as for `floats`."""
    return np.asarray(_required(arrays, name, size), np.int64)


def _required(arrays: NamedArrays, name: str, size: int | None) -> FloatArray | IntArray:
    if name not in arrays:
        raise ArtifactError(
            f"The model's array {name!r} is missing.", hint="Train the version again."
        )
    array = arrays[name]
    if size is not None and array.shape != (size,):
        raise ArtifactError(
            f"The model's array {name!r} has the shape {array.shape} instead of ({size},)."
        )
    return array


def require_ratings(train: Interactions) -> None:
    """Raise EmptyDataError when there is nothing to learn from."""
    if not len(train):
        raise EmptyDataError("There are no ratings to train on.", hint="Use another split.")


def scale_array(scale: RatingScale) -> FloatArray:
    """Return low, high and step in stars, (3,)."""
    return np.array([scale.low, scale.high, scale.step], np.float32)


def scale_from(arrays: NamedArrays) -> RatingScale:
    """Return the rating scale that `scale_array` wrote."""
    low, high, step = (float(value) for value in floats(arrays, "scale", 3))
    return RatingScale(low, high, step)


def read_only(array: FloatArray) -> FloatArray:
    """Return a read-only float32 view; the caller's own array stays writable."""
    view = np.asarray(array, np.float32).view()
    view.setflags(write=False)
    return view


def below_kth(scores: FloatArray, k: int) -> FloatArray:
    """Return a lower bound of each row's k-th largest score, (m, n) -> (m,).

    The k-th largest of the maxima of groups is never above the k-th largest score. A group is
    every so-manieth movie: maxima along long rows are quick.
    """
    m, n = scores.shape
    groups = n // GROUP
    if groups < k:
        return np.full(m, -np.inf, np.float32)
    maxima = scores[:, : groups * GROUP].reshape(m, GROUP, groups).max(axis=1)
    edge: FloatArray = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return edge


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[None]:
    """Keep BLAS to one thread: a user's matrices are small, and more threads wait for each other.

    On a busy machine that costs many times the work itself; this here takes 10 µs.
    """
    limits: AbstractContextManager[None] = _threads().limit(limits=1, user_api="blas")
    return limits
