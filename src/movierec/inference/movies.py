"""Who likes a movie: its raters by what is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, RatingScale
from movierec.models.graphsage.features import AGE_BANDS

__all__ = ["LEAST_RATERS", "groups_of"]

LEAST_RATERS = 5  # a mean over fewer says nothing
_Z = 1.96  # of a 95 % interval


def groups_of(dataset: Dataset, movie: int) -> pd.DataFrame:
    """Return how groups of users rated a movie, the best mean first.

    One row per group with at least five raters: `kind` (age, gender, occupation), `group`, `n`
    raters, `mean` stars, and `low` and `high`, the 95 % interval of the mean (normal
    approximation) as far as it lies on the scale. Empty where nothing is known of the users.
    """
    rows = dataset.by_movie.positions(movie)
    raters = dataset.user_frame.iloc[dataset.ratings.user[rows]].reset_index(drop=True)
    stars = pd.Series(dataset.ratings.rating[rows].astype(np.float64))
    parts = [
        _grouped(kind, labels, stars, dataset.scale) for kind, labels in _labels(raters).items()
    ]
    columns = ["kind", "group", "n", "mean", "low", "high"]
    found = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    found = found[found["n"] >= LEAST_RATERS]
    return found.sort_values("mean", ascending=False, kind="stable", ignore_index=True)[columns]


def _labels(raters: pd.DataFrame) -> dict[str, pd.Series]:
    labels = {
        kind: raters[kind].astype(object)
        for kind in (Columns.GENDER, Columns.OCCUPATION)
        if kind in raters
    }
    if Columns.AGE in raters:
        labels[Columns.AGE] = raters[Columns.AGE].map(_band)
    return labels


def _band(age: float | None) -> str | None:
    if age is None or np.isnan(age):
        return None
    above = [edge for edge in AGE_BANDS if edge > age]
    below = [edge for edge in AGE_BANDS if edge <= age]
    if not below:
        return f"under {above[0]:.0f}"
    return f"{below[-1]:.0f} to {above[0] - 1:.0f}" if above else f"{below[-1]:.0f} and over"


def _grouped(kind: str, labels: pd.Series, stars: pd.Series, scale: RatingScale) -> pd.DataFrame:
    found = stars.groupby(labels).agg(["size", "mean", "std"])
    half = _Z * found["std"].fillna(0) / np.sqrt(found["size"])
    return pd.DataFrame(
        {
            "kind": kind,
            "group": [str(label) for label in found.index],
            "n": found["size"].to_numpy(),
            "mean": found["mean"].to_numpy(),
            "low": (found["mean"] - half).clip(lower=scale.low).to_numpy(),
            "high": (found["mean"] + half).clip(upper=scale.high).to_numpy(),
        }
    )
