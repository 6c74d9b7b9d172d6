"""What a version may know of its data, and what was held out: made once for each split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.data.arrays import Grouping
from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.store.datasets import DatasetStore

__all__ = ["SplitParts", "parts_of"]

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
_SIDES = ("user", "movie")


@dataclass(frozen=True, eq=False)
class SplitParts:
    """The parts of a split as answers need them; `sha256` is the test part's.

    Shapes: validation, test: (n,) positions in the data set, ascending.
    """

    known: Interactions
    validation: IntArray
    test: IntArray
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> Self:
        """Take them from a split of the data set."""
        known = dataset.ratings.take(split.known)
        return cls(known, split.validation, split.test, split.sha256)

    def held_out(self, dataset: Dataset, user: int) -> Interactions:
        """Return what one user gave in the test part."""
        own = dataset.by_user.positions(user)
        if not len(self.test):
            return dataset.ratings.take(own[:0])
        near = self.test.take(np.searchsorted(self.test, own), mode="clip")
        return dataset.ratings.take(own[near == own])


def parts_of(datasets: DatasetStore, dataset: Dataset, spec: SplitSpec) -> SplitParts:
    """Return the parts of a split; those of a large data set are kept, and mapped.

    Raises:
        SplitError: the data set cannot give this split.

    """
    digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    arrays = datasets.derived(dataset, f"split-{digest[:16]}", lambda: _arrays(dataset, spec))
    known = Interactions(arrays["user"], arrays["movie"], arrays["rating"], arrays.get("timestamp"))
    for side in _SIDES:
        known.groupings[side] = Grouping(arrays[f"{side}_start"], arrays[f"{side}_order"])
    return SplitParts(known, arrays["validation"], arrays["test"], str(arrays["sha256"]))


def _arrays(dataset: Dataset, spec: SplitSpec) -> Arrays:
    parts = SplitParts.of(dataset, make_split(dataset, spec))
    known = parts.known
    arrays: Arrays = {"user": known.user, "movie": known.movie, "rating": known.rating}
    if known.timestamp is not None:
        arrays["timestamp"] = known.timestamp
    arrays |= {"validation": parts.validation, "test": parts.test}
    return arrays | {"sha256": np.array(parts.sha256)} | _grouped(dataset, known)


def _grouped(dataset: Dataset, known: Interactions) -> Arrays:
    found: Arrays = {}
    for side, size in zip(_SIDES, (dataset.n_users, dataset.n_movies), strict=True):
        grouping = known.grouped(side, size)
        found |= {f"{side}_start": grouping.start, f"{side}_order": grouping.order}
    return found
