"""Frames the pages draw, computed from a data set. No Streamlit, no state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset

__all__ = [
    "by_month",
    "filter_movies",
    "filter_users",
    "genres_of",
    "level_shares",
    "movie_counts",
    "movie_table",
    "user_counts",
    "user_history",
    "user_table",
]


def user_counts(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Ratings per user index, (n_users,)."""
    return np.bincount(dataset.ratings.user, minlength=dataset.n_users)


def movie_counts(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Ratings per movie index, (n_movies,)."""
    return np.bincount(dataset.ratings.movie, minlength=dataset.n_movies)


def level_shares(dataset: Dataset, ratings: npt.NDArray[np.float32] | None = None) -> pd.DataFrame:
    """Count each level of the scale: columns `level` (stars), `count`, `share` (0–1).

    `ratings`: those to count, (n,); all of the data set's when left out.
    """
    stars = dataset.ratings.rating if ratings is None else ratings
    scale = dataset.scale
    place = np.rint((stars - scale.low) / scale.step).astype(np.int64)
    counts = np.bincount(place, minlength=len(scale.levels))
    shares = counts / max(1, counts.sum())
    return pd.DataFrame({"level": scale.levels, "count": counts, "share": shares})


def by_month(dataset: Dataset) -> pd.DataFrame | None:
    """Count ratings per calendar month (UTC), months without any included.

    Returns columns `start` (datetime) and `count`, or None when the data set has no times.
    """
    if dataset.ratings.timestamp is None:
        return None
    times = pd.to_datetime(dataset.ratings.timestamp, unit="s")
    counts = pd.Series(1, index=times).resample("MS").sum()
    return pd.DataFrame({"start": counts.index, "count": counts.to_numpy()})


def movie_table(dataset: Dataset) -> pd.DataFrame:
    """One row per movie: id, title, year, genres, `ratings`, `mean` and `spread` in stars.

    `mean` is NaN without a rating, `spread` (sample standard deviation) with fewer than two.
    """
    table = _movie_facts(dataset)
    return table.join(_rating_facts(dataset.ratings.movie, dataset.ratings.rating, len(table)))


def user_table(dataset: Dataset) -> pd.DataFrame:
    """One row per user: id and the profile columns there are, `ratings`, `mean`, `spread`."""
    table = dataset.user_frame.reset_index(drop=True)
    return table.join(_rating_facts(dataset.ratings.user, dataset.ratings.rating, len(table)))


def genres_of(movies: pd.DataFrame) -> list[str]:
    """Every genre in a movie table, in alphabetical order."""
    names = movies[Columns.GENRES].str.split("|").explode()
    return sorted(name for name in names.unique() if name)


def filter_movies(movies: pd.DataFrame, search: str, genres: list[str]) -> pd.DataFrame:
    """Keep movies whose title holds every word of `search` and that have all of `genres`."""
    keep = pd.Series(True, index=movies.index)
    title = movies[Columns.TITLE].str.casefold()
    for word in search.casefold().split():
        keep &= title.str.contains(word, regex=False)
    listed = "|" + movies[Columns.GENRES] + "|"
    for genre in genres:
        keep &= listed.str.contains(f"|{genre}|", regex=False)
    return movies.loc[keep]


def filter_users(users: pd.DataFrame, search: str) -> pd.DataFrame:
    """Keep users that have every word of `search` in their id or occupation."""
    text = users[Columns.USER].astype(str)
    if Columns.OCCUPATION in users:
        text = text + " " + users[Columns.OCCUPATION].astype("str").fillna("")
    keep = pd.Series(True, index=users.index)
    for word in search.casefold().split():
        keep &= text.str.casefold().str.contains(word, regex=False)
    return users.loc[keep]


def user_history(dataset: Dataset, user: int) -> pd.DataFrame:
    """One user's ratings, newest first where there are times: title, year, genres, rating, date."""
    ratings = dataset.ratings
    rows = np.flatnonzero(ratings.user == user)
    history = _movie_facts(dataset).iloc[ratings.movie[rows]].reset_index(drop=True)
    history = history.drop(columns=Columns.MOVIE).assign(**{Columns.RATING: ratings.rating[rows]})
    if ratings.timestamp is None:
        return history
    history[Columns.TIMESTAMP] = pd.to_datetime(ratings.timestamp[rows], unit="s")
    return history.sort_values(Columns.TIMESTAMP, ascending=False, kind="stable", ignore_index=True)


def _movie_facts(dataset: Dataset) -> pd.DataFrame:
    facts = dataset.movie_frame.reindex(columns=list(Columns.MOVIES)).reset_index(drop=True)
    facts[Columns.GENRES] = facts[Columns.GENRES].astype("str").fillna("")
    return facts.assign(**{Columns.TITLE: dataset.titles})


def _rating_facts(
    index: npt.NDArray[np.int64], rating: npt.NDArray[np.float32], n: int
) -> pd.DataFrame:
    grouped = pd.Series(rating.astype(float)).groupby(index).agg(["size", "mean", "std"])
    facts = grouped.reindex(range(n)).set_axis(["ratings", "mean", "spread"], axis=1)
    return facts.assign(ratings=facts["ratings"].fillna(0).astype(int))
