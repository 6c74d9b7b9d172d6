"""Frames the pages draw, computed from a data set. No Streamlit, no state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.aggregates import Aggregates, GroupStatistics, aggregates_of, level_counts
from movierec.data.dataset import Dataset, IntArray

__all__ = [
    "by_month",
    "filter_movies",
    "filter_users",
    "genres_of",
    "level_shares",
    "movie_table",
    "user_history",
    "user_table",
]


def level_shares(
    dataset: Dataset,
    ratings: npt.NDArray[np.float32] | None = None,
    told: Aggregates | None = None,
) -> pd.DataFrame:
    """Count each level of the scale: columns `level` (stars), `count`, `share` (0–1).

    `ratings`: those to count, (n,); all of the data set's when left out. `told`, here and below:
    the data set's aggregates, where they are at hand.
    """
    scale = dataset.scale
    if ratings is None:
        counts = (told or aggregates_of(dataset)).levels
    else:
        counts = level_counts(scale, ratings)
    shares = counts / max(1, counts.sum())
    return pd.DataFrame({"level": scale.levels, "count": counts, "share": shares})


def by_month(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame | None:
    """Count ratings per calendar month (UTC), months without any included.

    Returns columns `start` (datetime) and `count`, or None when the data set has no times.
    """
    if dataset.ratings.timestamp is None:
        return None
    told = told or aggregates_of(dataset)
    months = told.first_month + np.arange(len(told.months))
    start = months.astype("datetime64[M]").astype("datetime64[s]")
    return pd.DataFrame({"start": start, "count": told.months})


def movie_table(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame:
    """One row per movie: id, title, year, genres, `ratings`, `mean` and `spread` in stars.

    `mean` is NaN without a rating, `spread` (sample standard deviation) with fewer than two.
    """
    return _movie_facts(dataset).assign(**_spread((told or aggregates_of(dataset)).movie))


def user_table(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame:
    """One row per user: id and the profile columns there are, `ratings`, `mean`, `spread`."""
    table = dataset.user_frame.reset_index(drop=True)
    return table.assign(**_spread((told or aggregates_of(dataset)).user))


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
    ratings = dataset.ratings.take(dataset.by_user.positions(user))
    history = _movie_facts(dataset, ratings.movie)
    history = history.drop(columns=Columns.MOVIE).assign(**{Columns.RATING: ratings.rating})
    if ratings.timestamp is None:
        return history
    history[Columns.TIMESTAMP] = pd.to_datetime(ratings.timestamp, unit="s")
    return history.sort_values(Columns.TIMESTAMP, ascending=False, kind="stable", ignore_index=True)


def _movie_facts(dataset: Dataset, movies: IntArray | None = None) -> pd.DataFrame:
    """Return what is known of some movies, of all when they are left out."""
    frame, titles = dataset.movie_frame, dataset.titles
    if movies is not None:
        frame, titles = frame.iloc[movies], [titles[movie] for movie in movies.tolist()]
    facts = frame.reindex(columns=list(Columns.MOVIES)).reset_index(drop=True)
    facts[Columns.GENRES] = facts[Columns.GENRES].astype("str").fillna("")
    return facts.assign(**{Columns.TITLE: titles})


def _spread(side: GroupStatistics) -> dict[str, npt.NDArray[Any]]:
    return {"ratings": side.count, "mean": side.mean, "spread": side.spread}
