"""For whom is a version better? The change in each group of users and movies, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.comparison.evidence import Evidence
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import SliceDiff
from movierec.data.dataset import Dataset, IntArray
from movierec.evaluation.ratings import Float64Array
from movierec.evaluation.significance import Difference, PairedSums, paired_bootstrap
from movierec.evaluation.slices import Members, members_of

__all__ = ["error_by_rating", "slice_diffs"]

_NDCG, _RECALL = BY_KEY["ndcg_full"], BY_KEY["recall_full"]
RESAMPLES = 10_000  # tells a standard error to 0.7 %, as Holm's factors are large here
_ORDER = {"worse": 0, "can't tell": 1, "better": 2}


def slice_diffs(
    baseline: Evidence,
    version: Evidence,
    dataset: Dataset,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[SliceDiff, ...]:
    """Return the change of every group, those that got worse for sure first.

    Groups and their values are those of `evaluation.slices`; users are drawn whole, as between
    versions. Holm's correction is over all groups and metrics. Nothing where one of the two has
    no frames, or frames of other ratings. The two must be comparable (`guard.obstacles`).
    """
    baseline, version = _in_order(baseline), _in_order(version)
    found = [
        (name, value, counts, sums)
        for name, members in _groups(baseline, version, dataset)
        for value, counts, sums in _sums(members, baseline, version)
    ]
    if not found:
        return ()
    tested = paired_bootstrap([[sums for *_, sums in found]], resamples=resamples, seed=seed)[0]
    diffs = [
        SliceDiff(name, value, sums.metric, *counts, difference)
        for (name, value, counts, sums), difference in zip(found, tested, strict=True)
    ]
    return tuple(sorted(diffs, key=_place))


def error_by_rating(evidence: Evidence) -> pd.DataFrame | None:
    """Return error and bias by the rating that was really given; None where none is predicted.

    Columns: level (stars), ratings (how many), rmse, bias (predicted − given, stars).
    """
    frame = evidence.per_rating
    if frame is None or not frame["prediction"].notna().any():
        return None
    error = (frame["prediction"] - frame[Columns.RATING]).astype(np.float64)
    by_level = error.groupby(frame[Columns.RATING])
    return pd.DataFrame(
        {
            "ratings": by_level.size(),
            "rmse": by_level.apply(lambda errors: float(np.sqrt((errors**2).mean()))),
            "bias": by_level.mean(),
        }
    ).reset_index(names="level")


def _in_order(side: Evidence) -> Evidence:
    """Return it with users and ratings in the data set's order, as `members_of` needs them."""
    if side.per_user is None or side.per_rating is None:
        return side
    return replace(
        side,
        per_user=side.per_user.sort_values(Columns.USER_INDEX, ignore_index=True),
        per_rating=side.per_rating.sort_values(Columns.POSITION, ignore_index=True),
    )


def _groups(baseline: Evidence, version: Evidence, dataset: Dataset) -> list[tuple[str, Members]]:
    per_rating, other = baseline.per_rating, version.per_rating
    if baseline.per_user is None or version.per_user is None or per_rating is None or other is None:
        return []
    if not per_rating[Columns.POSITION].equals(other[Columns.POSITION]):
        return []
    every = np.bincount(dataset.ratings.movie, minlength=dataset.n_movies)
    # what is not in the test part is known, whatever the split
    test = np.bincount(per_rating[Columns.MOVIE_INDEX], minlength=dataset.n_movies)
    return members_of(dataset, every - test, baseline.per_user, per_rating)


def _sums(
    members: Members, baseline: Evidence, version: Evidence
) -> Iterator[tuple[str, tuple[int, int], PairedSums]]:
    """Yield per group and metric: its name, its users and ratings, and its sums by user."""
    grid = _Grid(members, baseline)
    errors, hits = grid.sums(baseline, version, "error"), grid.sums(baseline, version, "hit")
    for group, value in enumerate(members.names):
        size = grid.size[:, group]
        if not size.any():
            continue
        counts = int((size > 0).sum()), int(size.sum())
        if not np.isnan(errors).any():  # both predict stars
            yield value, counts, PairedSums("rmse", errors[0][:, group], errors[1][:, group], size)
        if members.user_group is None:
            a, b = (each[:, group] for each in hits)
            yield value, counts, PairedSums(_RECALL.key, a, b, grid.ranked[:, group])
        else:
            yield value, counts, _ndcg(baseline, version, members.user_group == group)


class _Grid:
    """Sums by user and group of what each held-out rating came to.

    `size` counts the ratings, `ranked` those of users who were ranked: the others have no hits.
    """

    def __init__(self, members: Members, evidence: Evidence) -> None:
        assert evidence.per_user is not None  # `_groups` found some
        assert evidence.per_rating is not None
        users = evidence.per_user[Columns.USER_INDEX].to_numpy()
        user = np.searchsorted(users, evidence.per_rating[Columns.USER_INDEX].to_numpy())
        self._rating = members.rating
        self._shape = len(users), len(members.names)
        self._cell: IntArray = user[members.rating] * self._shape[1] + members.group
        self.size = self._total(None)
        self.ranked = self._total(
            np.asarray(evidence.per_rating["recommended"].notna(), np.float64)
        )

    def sums(self, baseline: Evidence, version: Evidence, what: str) -> list[Float64Array]:
        """Return (n_users, n_groups) sums of squared errors or of hits, of both versions."""
        return [self._total(_values(side, what)) for side in (baseline, version)]

    def _total(self, values: Float64Array | None) -> Float64Array:
        weights = None if values is None else values[self._rating]
        total = np.bincount(self._cell, weights, minlength=self._shape[0] * self._shape[1])
        return total.reshape(self._shape).astype(np.float64)


def _values(side: Evidence, what: str) -> Float64Array:
    assert side.per_rating is not None
    frame = side.per_rating
    if what == "hit":
        return frame["recommended"].to_numpy(np.float64, na_value=0.0)
    error = (frame["prediction"] - frame[Columns.RATING]).to_numpy(np.float64)
    return error**2


def _ndcg(baseline: Evidence, version: Evidence, of_group: npt.NDArray[np.bool_]) -> PairedSums:
    columns = []
    for side in (baseline, version):
        assert side.per_user is not None
        columns.append(side.per_user[_NDCG.column].to_numpy(np.float64))
    counted = of_group & ~np.isnan(columns[0]) & ~np.isnan(columns[1])
    a, b = (np.where(counted, values, 0.0) for values in columns)
    return PairedSums(_NDCG.key, a, b, counted.astype(np.float64))


def _place(diff: SliceDiff) -> tuple[int, float]:
    """Sort sure losses first, then by the change as a share of what was there before."""
    found: Difference = diff.difference
    gain = BY_KEY[diff.metric].gain(found.delta)
    return _ORDER[found.verdict], gain / abs(found.a) if found.a else gain
