"""What is known of a user: history, tastes, and what a version did not see of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.arrays import steps
from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.data.splits import recorded_split
from movierec.errors import EvaluationError
from movierec.inference.version import LoadedVersion

__all__ = [
    "HardCase",
    "HistoryLine",
    "Profile",
    "hard_cases",
    "held_out_of",
    "history_of",
    "profile",
    "stars_of",
    "words_about",
]

_EACH = 2  # hard cases of one reason
_ENOUGH = 5 * _EACH  # of each of five reasons: so many that some nobody else has are left
_SEVERAL = 5  # ratings from which on a user's figure says something

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
    rows = _rows(version, user)
    stars = known.rating[rows]
    return Profile(
        user_id,
        len(rows),
        float(stars.mean()) if len(rows) else float("nan"),
        version.mean_rating,
        words_about(data, user),
        history_of(version, user),
        _tastes(version, rows),
        _held_out(version, user),
    )


def history_of(version: LoadedVersion, user: int) -> tuple[HistoryLine, ...]:
    """Return the ratings of a user that the version may know, newest first.

    Without times the last one in the data counts as the newest.
    """
    return tuple(_line(version, row) for row in _rows(version, user).tolist())


def words_about(data: Dataset, user: int) -> dict[str, str]:
    """Return what the data says of a user beside ratings, in words by their names."""
    facts = data.user_frame.iloc[user]
    return {
        label: f"{facts[column]:g} years" if column == Columns.AGE else str(facts[column])
        for column, label in _LABELS.items()
        if column in facts and not pd.isna(facts[column]) and facts[column] != ""
    }


def held_out_of(version: LoadedVersion) -> Interactions:
    """Return the ratings that were held out when a version was measured.

    Raises:
        EvaluationError: the version does not say how its data was split.

    """
    if version.parts is not None:
        return version.dataset.ratings.take(version.parts.test)
    try:
        split = recorded_split(version.dataset, version.metadata.split)
    except ValueError as error:
        raise EvaluationError(
            f"Version {version.name} does not say how its data was split.",
            hint="Train the version again.",
        ) from error
    return version.dataset.ratings.take(split.test)


def stars_of(data: Dataset, ratings: Interactions, user: int) -> dict[str, float]:
    """Return what a user gave among some ratings, by movie id."""
    own = ratings.user == user
    ids = data.movies.ids[ratings.movie[own]]
    return dict(zip(map(str, ids), ratings.rating[own].tolist(), strict=True))


def hard_cases(version: LoadedVersion, per_user: pd.DataFrame | None) -> list[HardCase]:
    """Return users whom a version may serve badly: up to two for each reason, nobody twice.

    `per_user`: the version's measurements user by user (`Evaluation.per_user`).
    """
    cases: dict[str, HardCase] = {}
    for reason in (*_measured(per_user), *_counted(version)):
        new = [case for case in reason if case.user_id not in cases]
        cases |= {case.user_id: case for case in new[:_EACH]}
    return [*cases.values()]


def _measured(per_user: pd.DataFrame | None) -> list[list[HardCase]]:
    """Return who was missed most, and who got no hit for the most held-out ratings."""
    if per_user is None:
        return []
    several = per_user[per_user["n_test"] >= _SEVERAL]
    reasons = []
    if "rmse" in several:
        missed = several.dropna(subset="rmse").sort_values("rmse", ascending=False, kind="stable")
        reasons.append(_cases(missed, "rmse", "stars missed most, RMSE {:.2f}"))
    if "full_hit_rate_at_10" in several:
        none = several[several["full_hit_rate_at_10"] == 0]
        none = none.sort_values("n_test", ascending=False, kind="stable")
        reasons.append(_cases(none, "n_test", "none of {:,} held-out movies in the top 10"))
    return reasons


def _cases(users: pd.DataFrame, column: str, why: str) -> list[HardCase]:
    return [
        HardCase(str(user), why.format(value))
        for user, value in zip(
            users[Columns.USER].head(_ENOUGH), users[column].head(_ENOUGH), strict=True
        )
    ]


def _counted(version: LoadedVersion) -> list[list[HardCase]]:
    """Return who has the fewest ratings, the most, and those of the rarest movies."""
    known, n_users = version.known, version.dataset.n_users
    counts = known.grouped("user", n_users).counts
    rarity = _rarity(version) / np.maximum(counts, 1)
    ids = version.dataset.users.ids
    reasons = []
    for values, least, why in (
        (counts, 1, "fewest ratings, {:,}"),
        (-counts, 1, "most ratings, {:,}"),
        (-rarity, _SEVERAL, "rarest taste of {:,} ratings"),
    ):
        order = np.argsort(values, kind="stable")
        order = order[counts[order] >= least][:_ENOUGH]
        reasons.append([HardCase(str(ids[user]), why.format(counts[user])) for user in order])
    return reasons


def _rarity(version: LoadedVersion) -> npt.NDArray[np.float64]:
    """Return the sum of 1 / known ratings over each user's movies, (n_users,)."""
    known, n_users = version.known, version.dataset.n_users
    rare, total = 1 / np.maximum(version.popularity, 1), np.zeros(n_users)
    for step in steps(len(known)):
        total += np.bincount(known.user[step], rare[known.movie[step]], n_users)
    return total


def _rows(version: LoadedVersion, user: int) -> IntArray:
    """Return where a user's known ratings are, newest first."""
    known = version.known
    rows = version.rows_of(user)[::-1]
    if known.timestamp is None:
        return rows
    return rows[np.argsort(-known.timestamp[rows], kind="stable")]


def _held_out(version: LoadedVersion, user: int) -> dict[str, float]:
    data = version.dataset
    if version.parts is not None:
        return stars_of(data, version.parts.held_out(data, user), user)
    try:
        return stars_of(data, held_out_of(version), user)
    except EvaluationError:
        return {}


def _line(version: LoadedVersion, row: int) -> HistoryLine:
    known = version.known
    seconds = None if known.timestamp is None else int(known.timestamp[row])
    time = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return HistoryLine(
        *version.facts(int(known.movie[row])), stars=float(known.rating[row]), time=time
    )


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
