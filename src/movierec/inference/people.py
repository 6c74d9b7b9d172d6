"""What is known of a user: history, tastes, and what a version did not see of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.common import recorded_split
from movierec.data.dataset import Dataset, IntArray
from movierec.inference.serving import LoadedVersion

__all__ = ["HardCase", "HistoryLine", "Profile", "hard_cases", "held_out", "profile"]

_LABELS = {
    Columns.AGE: "Age",
    Columns.GENDER: "Gender",
    Columns.OCCUPATION: "Occupation",
}


@dataclass(frozen=True)
class HistoryLine:
    """One rating that the version may know; `time` is None where the data has none."""

    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    stars: float
    time: datetime | None


@dataclass(frozen=True, eq=False)
class Profile:
    """A user as a version knows them.

    `history` has the known ratings, newest first. `tastes` has one row per genre that the user
    rated, the most rated first: `genre`, `n`, `share` of the user's ratings, `share_of_all` of
    everybody's, `mean` stars, and `more`, by how many stars that is above the user's own mean.
    `held_out` has the stars of the user's ratings in the test part, by movie id.
    """

    user_id: str
    n_ratings: int
    mean: float
    mean_of_all: float
    features: Mapping[str, str]
    history: tuple[HistoryLine, ...]
    tastes: pd.DataFrame
    held_out: Mapping[str, float]


@dataclass(frozen=True)
class HardCase:
    """A user worth a look, and why."""

    user_id: str
    why: str


def profile(version: LoadedVersion, user_id: str) -> Profile:
    """Return what is known of a user; NotFoundError where the data has no such user."""
    data, known = version.dataset, version.known
    user = data.users.index(user_id)
    rows = np.flatnonzero(known.user == user)
    if known.timestamp is not None:
        rows = rows[np.argsort(-known.timestamp[rows], kind="stable")]
    stars = known.rating[rows]
    return Profile(
        user_id,
        len(rows),
        float(stars.mean()) if len(rows) else float("nan"),
        float(known.rating.mean()),
        _features(data, user),
        tuple(_line(version, row) for row in rows.tolist()),
        _tastes(version, rows),
        held_out(version, user),
    )


def held_out(version: LoadedVersion, user: int) -> dict[str, float]:
    """Return the stars of a user's ratings in the test part, by movie id."""
    data = version.dataset
    if "split" not in version.metadata:
        return {}
    test = recorded_split(data, version.metadata["split"]).test
    own = test[data.ratings.user[test] == user]
    ids = data.movies.ids[data.ratings.movie[own]]
    return dict(zip(map(str, ids), data.ratings.rating[own].tolist(), strict=True))


def hard_cases(version: LoadedVersion, per_user: pd.DataFrame | None) -> list[HardCase]:
    """Return users whom a version may serve badly: two for each reason.

    `per_user`: the version's measurements user by user (`Evaluation.per_user`).
    """
    data, known = version.dataset, version.known
    counts = np.bincount(known.user, minlength=data.n_users)
    rarity = np.bincount(
        known.user, weights=1 / version.popularity[known.movie], minlength=data.n_users
    )
    fame = np.where(counts > 4, rarity / np.maximum(counts, 1), -1.0)
    ids = data.users.ids
    cases = [
        *[(u, f"fewest ratings, {counts[u]:,}") for u in _first(counts, counts > 0)],
        *[(u, f"most ratings, {counts[u]:,}") for u in _first(-counts, counts > 0)],
        *[(u, "rarest taste") for u in _first(-fame, counts > 4)],
    ]
    found = [*_measured(per_user), *(HardCase(str(ids[user]), why) for user, why in cases)]
    return list({case.user_id: case for case in reversed(found)}.values())[::-1]


def _measured(per_user: pd.DataFrame | None) -> list[HardCase]:
    if per_user is None:
        return []
    cases = []
    for column, words, worst in (
        ("rmse", "stars missed most", True),
        ("full_ndcg_at_10", "no hit", False),
    ):
        if column not in per_user or per_user[column].isna().all():
            continue
        several = per_user[per_user["n_test"] >= 5]
        ordered = several.sort_values(column, ascending=not worst, kind="stable").head(2)
        label = "RMSE" if column == "rmse" else "NDCG@10"
        cases += [
            HardCase(str(user), f"{words}, {label} {value:.2f}")
            for user, value in zip(ordered[Columns.USER], ordered[column], strict=True)
        ]
    return cases


def _first(values: np.ndarray, allowed: np.ndarray, n: int = 2) -> list[int]:
    order = np.argsort(values, kind="stable")
    return [int(user) for user in order[allowed[order]][:n]]


def _line(version: LoadedVersion, row: int) -> HistoryLine:
    known = version.known
    seconds = None if known.timestamp is None else int(known.timestamp[row])
    time = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return HistoryLine(
        *version.facts(int(known.movie[row])), stars=float(known.rating[row]), time=time
    )


def _features(data: Dataset, user: int) -> dict[str, str]:
    facts = data.user_frame.iloc[user]
    return {
        label: f"{facts[column]:g}" if column == Columns.AGE else str(facts[column])
        for column, label in _LABELS.items()
        if column in facts and not pd.isna(facts[column])
    }


def _tastes(version: LoadedVersion, rows: IntArray) -> pd.DataFrame:
    known = version.known
    genres = version.genre_table
    own = genres[known.movie[rows]]
    of_all = version.popularity @ genres / max(1, len(known))
    n = own.sum(axis=0)
    stars = known.rating[rows].astype(np.float64)
    mean = (own * stars[:, None]).sum(axis=0) / np.maximum(n, 1)
    table = pd.DataFrame(
        {
            "genre": version.genres,
            "n": n.astype(int),
            "share": n / max(1, len(rows)),
            "share_of_all": of_all,
            "mean": mean,
            "more": mean - (stars.mean() if len(rows) else 0.0),
        }
    )
    return table[table["n"] > 0].sort_values("n", ascending=False, kind="stable", ignore_index=True)
