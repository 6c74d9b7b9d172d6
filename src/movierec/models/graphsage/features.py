"""What is known about users and movies beside their ratings, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, FloatArray, Interactions, genre_dummies
from movierec.errors import ArtifactError

__all__ = ["FeaturePreprocessor"]

# Bands of ML-1M's age codes, and release years cut where ML-100K's catalogue is dense.
AGE_BANDS = (18.0, 25.0, 35.0, 45.0, 50.0, 56.0)
YEAR_BANDS = (1970.0, 1980.0, 1990.0, 1995.0, 1996.0, 1997.0)


# values of a group that get a column: a column per value of, say, a town would be dense and huge
MOST_VALUES = 128


@dataclass
class FeaturePreprocessor:
    """Turns user and movie columns into float32 matrices; fitted on the train part.

    Users: age scaled to mean 0 and deviation 1, gender and occupation one-hot. Movies: release
    year scaled, genres multi-hot. With `bands`, age and year are also given as one-hot bands.
    Of more than 128 values of a group the most frequent have columns. An unknown value, and one
    without a column, is 0 in every column of its group. A side without any column gets a single
    constant one. The state is lists, strings and numbers alone, so that `preprocessor.pkl`
    needs no trust.
    """

    bands: bool = False
    scales: dict[str, list[float]] = field(default_factory=dict)
    vocabularies: dict[str, list[str]] = field(default_factory=dict)

    def fit(self, dataset: Dataset, train: Interactions) -> FeaturePreprocessor:
        """Learn scales and vocabularies from the users and movies with a train rating."""
        users = dataset.user_frame.iloc[np.unique(train.user)]
        movies = dataset.movie_frame.iloc[np.unique(train.movie)]
        self.scales = {
            name: _scale(frame[name])
            for frame, name in ((users, Columns.AGE), (movies, Columns.YEAR))
            if name in frame
        }
        self.vocabularies = {
            name: _frequent(users[name].dropna().astype(str).value_counts())
            for name in (Columns.GENDER, Columns.OCCUPATION)
            if name in users
        }
        if Columns.GENRES in movies:
            self.vocabularies[Columns.GENRES] = _frequent(
                genre_dummies(movies[Columns.GENRES]).sum()
            )
        return self

    def users(self, frame: pd.DataFrame) -> FloatArray:
        """Return the features of users, (n_users, n_user_features)."""
        parts = self._number(frame, Columns.AGE, AGE_BANDS)
        for name in (Columns.GENDER, Columns.OCCUPATION):
            parts += self._one_hot(frame, name)
        return _joined(parts, len(frame))

    def movies(self, frame: pd.DataFrame) -> FloatArray:
        """Return the features of movies, (n_movies, n_movie_features)."""
        parts = self._number(frame, Columns.YEAR, YEAR_BANDS)
        if Columns.GENRES in self.vocabularies:
            vocabulary = self.vocabularies[Columns.GENRES]
            dummies = genre_dummies(_column(frame, Columns.GENRES))
            parts.append(dummies.reindex(columns=vocabulary, fill_value=0).to_numpy(np.float32))
        return _joined(parts, len(frame))

    def _number(self, frame: pd.DataFrame, name: str, edges: tuple[float, ...]) -> list[FloatArray]:
        if name not in self.scales:
            return []
        mean, deviation = self.scales[name]
        values = pd.to_numeric(_column(frame, name), errors="coerce").to_numpy(np.float32)
        known = np.isfinite(values)
        parts = [np.where(known, (values - mean) / deviation, 0.0)[:, None]]
        if self.bands:
            band = np.digitize(values, edges)[:, None] == np.arange(len(edges) + 1)
            parts.append(band & known[:, None])
        return [part.astype(np.float32) for part in parts]

    def _one_hot(self, frame: pd.DataFrame, name: str) -> list[FloatArray]:
        if name not in self.vocabularies:
            return []
        values = _column(frame, name).astype(str).to_numpy()
        return [(values[:, None] == np.array(self.vocabularies[name])).astype(np.float32)]

    def state(self) -> dict[str, Any]:
        """Return everything that was learned, as plain data."""
        return {"bands": self.bands, "scales": self.scales, "vocabularies": self.vocabularies}

    @classmethod
    def from_state(cls, state: object) -> FeaturePreprocessor:
        """Bring a preprocessor back.

        Raises:
            ArtifactError: the state is not one that `state()` returned.

        """
        if not isinstance(state, Mapping) or set(state) != {"bands", "scales", "vocabularies"}:
            raise ArtifactError(
                "The state of the feature preprocessor is not one that movierec wrote.",
                hint="Restore the version from a backup or train it again.",
            )
        return cls(bool(state["bands"]), dict(state["scales"]), dict(state["vocabularies"]))


def _frequent(counts: pd.Series) -> list[str]:
    """Return the values with the highest counts, at most `MOST_VALUES`, in alphabetical order."""
    first = counts.sort_index().sort_values(ascending=False, kind="stable").index[:MOST_VALUES]
    return sorted(str(value) for value in first)


def _scale(values: pd.Series) -> list[float]:
    numbers = pd.to_numeric(values, errors="coerce")
    deviation = float(numbers.std(ddof=0))
    mean = float(numbers.mean())
    return [mean, deviation if deviation > 0 else 1.0] if np.isfinite(mean) else [0.0, 1.0]


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series([None] * len(frame), index=frame.index)


def _joined(parts: list[FloatArray], n_rows: int) -> FloatArray:
    if not parts:
        return np.ones((n_rows, 1), np.float32)
    return np.concatenate(parts, axis=1)
