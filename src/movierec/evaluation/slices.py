"""The same errors and hits, group by group: who is served well, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IntArray, genre_dummies
from movierec.evaluation.ranking import metric_key
from movierec.evaluation.ratings import Float64Array

__all__ = ["Labels", "Members", "activity_labels", "members_of", "popularity_labels", "slice_table"]

UNKNOWN = "unknown"
AGE_EDGES = (18, 25, 35, 45, 50, 56)  # the age bands of MovieLens 1M
AGE_BANDS = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
POPULARITY_EDGES = (0.5, 0.8)  # head: half of the ratings; mid: the next 30 %; tail: the rest
POPULARITY_GROUPS = ("head", "mid", "tail")


@dataclass(frozen=True, eq=False)
class Labels:
    """Which group each user or movie is in. Shapes: codes: (n,), places in `names`."""

    codes: IntArray
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Members:
    """Which test ratings are in which group; a rating may be in several (genres).

    Shapes: rating, group: (n_members,); user_group: (n_users,) for groups of users.
    """

    names: tuple[str, ...]
    rating: IntArray
    group: IntArray
    user_group: IntArray | None = None


def slice_table(
    dataset: Dataset,
    popularity: IntArray,
    per_user: pd.DataFrame,
    per_rating: pd.DataFrame,
    k: int,
) -> pd.DataFrame:
    """Return one row per group with users, ratings, errors and hits.

    Groups of users: `activity` (quartiles of known ratings), `age`, `gender`. Groups of movies:
    `popularity`, `decade`, `genre`. What the data set has no column for is absent.

    Columns: slice, value, users, ratings, rmse, mae, ndcg@k and recall@k under `full`,
    threshold 0. For groups of users the last two are means over the users; for groups of movies
    recall is the share of the held-out ratings that are in the users' lists, and NDCG is NaN.

    Shapes: popularity: (n_movies,) known ratings per movie.
    """
    tables = [
        _table(name, members, per_user, per_rating, k)
        for name, members in members_of(dataset, popularity, per_user, per_rating)
    ]
    return pd.concat(tables, ignore_index=True)


def members_of(
    dataset: Dataset, popularity: IntArray, per_user: pd.DataFrame, per_rating: pd.DataFrame
) -> list[tuple[str, Members]]:
    """Return which test ratings are in which group of each slice; arguments as `slice_table`."""
    user = per_rating[Columns.USER_INDEX].to_numpy()
    row = np.searchsorted(per_user[Columns.USER_INDEX].to_numpy(), user)
    movie = per_rating[Columns.MOVIE_INDEX].to_numpy()
    return [
        *_user_slices(dataset, per_user, row),
        *_movie_slices(dataset, popularity, movie),
    ]


def _user_slices(
    dataset: Dataset, per_user: pd.DataFrame, row: IntArray
) -> Iterator[tuple[str, Members]]:
    frame = dataset.user_frame.iloc[per_user[Columns.USER_INDEX].to_numpy()]
    found = {
        "activity": activity_labels(per_user["n_train"].to_numpy()),
        "age": _age_labels(frame[Columns.AGE]) if Columns.AGE in frame else None,
        "gender": _text_labels(frame[Columns.GENDER]) if Columns.GENDER in frame else None,
    }
    for name, labels in found.items():
        if labels is not None:
            group = labels.codes[row]
            yield name, Members(labels.names, np.arange(len(row)), group, labels.codes)


def _movie_slices(
    dataset: Dataset, popularity: IntArray, movie: IntArray
) -> Iterator[tuple[str, Members]]:
    frame = dataset.movie_frame
    decades = _decade_labels(frame[Columns.YEAR]) if Columns.YEAR in frame else None
    for name, labels in (("popularity", popularity_labels(popularity)), ("decade", decades)):
        if labels is not None:
            yield name, Members(labels.names, np.arange(len(movie)), labels.codes[movie])
    genres = genre_dummies(frame[Columns.GENRES]) if Columns.GENRES in frame else pd.DataFrame()
    if len(genres.columns):
        yield "genre", _genre_members(genres, movie)


def _genre_members(genres: pd.DataFrame, movie: IntArray) -> Members:
    has = genres.to_numpy(bool)
    without = ~has.any(axis=1, keepdims=True)
    rating, group = np.nonzero(np.hstack([has, without])[movie])
    return Members((*genres.columns, UNKNOWN), rating, group)


def activity_labels(n_known: npt.NDArray[np.integer]) -> Labels:
    """Divide users into quartiles of known ratings; equal counts are never torn apart.

    Groups are named by their range, e.g. "8-30"; quartiles that fall together are one group.
    """
    edges = np.unique(np.quantile(n_known, [0.25, 0.5, 0.75], method="inverted_cdf"))
    codes = _compact(np.searchsorted(edges, n_known, side="left"))
    groups = [n_known[codes == code] for code in range(codes.max() + 1)]
    return Labels(codes, tuple(_range(g.min(), g.max()) for g in groups))


def _range(low: int, high: int) -> str:
    return f"{low} ratings" if low == high else f"{low}-{high} ratings"


def _compact(codes: IntArray) -> IntArray:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def popularity_labels(popularity: IntArray) -> Labels:
    """Divide movies by the share of known ratings that more popular movies hold.

    Below 0.5 head, below 0.8 mid, else tail; movies equally popular are in the same group.
    """
    counts, place, size = np.unique(popularity, return_inverse=True, return_counts=True)
    held = (counts * size)[::-1]
    before = (np.cumsum(held) - held)[::-1] / max(1, popularity.sum())
    share = np.where(popularity > 0, before[place], 1.0)
    return Labels(np.searchsorted(POPULARITY_EDGES, share, side="right"), POPULARITY_GROUPS)


def _age_labels(age: pd.Series) -> Labels | None:
    years = pd.to_numeric(age, errors="coerce").to_numpy(np.float64)
    codes = np.searchsorted(AGE_EDGES, years, side="right")
    return _with_unknown(codes, AGE_BANDS, np.isnan(years))


def _decade_labels(year: pd.Series) -> Labels | None:
    years = pd.to_numeric(year, errors="coerce").to_numpy(np.float64)
    unknown = np.isnan(years)
    decades, codes = np.unique(np.where(unknown, 0, years) // 10, return_inverse=True)
    return _with_unknown(codes, tuple(f"{10 * d:.0f}s" for d in decades), unknown)


def _text_labels(text: pd.Series) -> Labels | None:
    values = text.fillna("").astype(str).to_numpy(object)
    names, codes = np.unique(values, return_inverse=True)
    return _with_unknown(codes, tuple(str(n) for n in names), values == "")


def _with_unknown(
    codes: IntArray, names: tuple[str, ...], unknown: npt.NDArray[np.bool_]
) -> Labels | None:
    if unknown.all():
        return None
    return Labels(np.where(unknown, len(names), codes).astype(np.int64), (*names, UNKNOWN))


def _table(
    name: str, members: Members, per_user: pd.DataFrame, per_rating: pd.DataFrame, k: int
) -> pd.DataFrame:
    error = (per_rating["prediction"] - per_rating[Columns.RATING]).to_numpy(np.float64)
    error = error[members.rating]
    ratings = np.bincount(members.group, minlength=len(members.names))
    table = pd.DataFrame(
        {
            "slice": name,
            "value": members.names,
            "users": _distinct_users(members, per_rating),
            "ratings": ratings,
            "rmse": np.sqrt(_group_means(members.group, error**2, len(ratings))),
            "mae": _group_means(members.group, np.abs(error), len(ratings)),
            **_hits(members, per_user, per_rating, k),
        }
    )
    return table[table["ratings"] > 0]


def _hits(
    members: Members, per_user: pd.DataFrame, per_rating: pd.DataFrame, k: int
) -> dict[str, Float64Array]:
    ndcg, recall = metric_key("ndcg", k), metric_key("recall", k)
    size = len(members.names)
    if members.user_group is None:
        hit = per_rating["recommended"].to_numpy(np.float64, na_value=np.nan)[members.rating]
        return {ndcg: np.full(size, np.nan), recall: _means_of_ranked(members.group, hit, size)}
    return {
        key: _means_of_ranked(members.user_group, per_user[f"full_{key}"].to_numpy(), size)
        for key in (ndcg, recall)
    }


def _means_of_ranked(group: IntArray, values: Float64Array, size: int) -> Float64Array:
    """Return `_group_means` of those who were ranked; the others have NaN."""
    ranked = ~np.isnan(values)
    return _group_means(group[ranked], values[ranked], size)


def _distinct_users(members: Members, per_rating: pd.DataFrame) -> IntArray:
    user = per_rating[Columns.USER_INDEX].to_numpy()[members.rating]
    pairs = np.unique(user * len(members.names) + members.group)
    return np.bincount(pairs % len(members.names), minlength=len(members.names))


def _group_means(group: IntArray, values: Float64Array, size: int) -> Float64Array:
    """Return the mean per group; NaN for empty groups."""
    count = np.bincount(group, minlength=size)
    total = np.bincount(group, weights=values, minlength=size)
    out = np.full(size, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
