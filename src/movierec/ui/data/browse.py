"""The Data page's browsers: find a movie, find a user, look at their ratings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap
from movierec.ui.components import address, cache, ratings, widgets
from movierec.ui.components.text import NOT_MEASURED, decimal, integer

__all__ = ["movies", "users"]

# A list longer than this is slow to open and nobody reads it: the search narrows it.
LISTED = 2000
# rows that are sent to the browser; nobody scrolls further
SHOWN = 5000

Order: TypeAlias = tuple[list[str], bool]  # columns, ascending

_MOVIE_SORTS: dict[str, Order] = {
    "Most rated": (["ratings"], False),
    "Best mean": (["mean", "ratings"], False),
    "Most disputed": (["spread"], False),
    "Newest": ([Columns.YEAR, "ratings"], False),
    "Title": ([Columns.TITLE], True),
}
_USER_SORTS: dict[str, Order] = {
    "Most active": (["ratings"], False),
    "Most generous": (["mean"], False),
    "Strictest": (["mean"], True),
    "As in the source": ([], True),
}


def movies(data: Dataset) -> None:
    """Draw the movie browser: search, genres, order, table, and one movie in detail."""
    table = cache.movie_table(data)
    found = _filter_movies(data, table)
    if found.empty:
        widgets.mute("No movie matches. Take a word or a genre out.")
        return
    widgets.mute(_how_many(len(found), len(table), "movies"))
    _table(found, "movie", Columns.MOVIE, "Movies with their number of ratings, mean and spread")
    offered = [*found[Columns.MOVIE].head(LISTED)]
    titles = data.titles

    def label(movie: str) -> str:
        return f"{titles[data.movies.index(movie)]} · {movie}"

    chosen = _choose("Movie", "movie", offered, label, data.movies)
    if chosen is not None:
        _movie(data, table, data.movies.index(chosen))


def users(data: Dataset) -> None:
    """Draw the user browser: search, order, table, and one user's profile and history."""
    table = cache.user_table(data)
    found = _filter_users(table)
    if found.empty:
        widgets.mute("No user matches. Search for a part of an id or of an occupation.")
        return
    widgets.mute(_how_many(len(found), len(table), "users"))
    _table(found, "user", Columns.USER, "Users with their profile and number of ratings")
    chosen = _choose("User", "user", [*found[Columns.USER].head(LISTED)], str, data.users)
    if chosen is not None:
        _user(data, table, data.users.index(chosen))


def _how_many(found: int, of: int, what: str) -> str:
    first = f" The table has the first {integer(SHOWN)}." if found > SHOWN else ""
    return f"{integer(found)} of {integer(of)} {what}.{first} Select one for detail."


def _filter_movies(data: Dataset, table: pd.DataFrame) -> pd.DataFrame:
    left, middle, right = st.columns([3, 3, 2])
    search = _search(left, "Search titles", "mq")
    genres = middle.multiselect(
        "Genres (movies that have all of them)",
        cache.genres(data),
        key="genre",
        bind="query-params",
        placeholder="Any genre",
    )
    return _sorted(right, ratings.filter_movies(table, search, genres), "movies", _MOVIE_SORTS)


def _filter_users(table: pd.DataFrame) -> pd.DataFrame:
    left, right = st.columns([3, 1])
    search = _search(left, "Search ids and occupations", "uq")
    return _sorted(right, ratings.filter_users(table, search), "users", _USER_SORTS)


def _search(place: DeltaGenerator, label: str, key: str) -> str:
    return place.text_input(label, key=key, type="search", live=True, bind="query-params") or ""


def _sorted(
    place: DeltaGenerator, table: pd.DataFrame, what: str, orders: dict[str, Order]
) -> pd.DataFrame:
    label, key = f"Sort {what} by", f"sort-{what}"
    columns, ascending = orders[place.selectbox(label, list(orders), key=key, bind="query-params")]
    if not columns:
        return table
    return table.sort_values(columns, ascending=ascending, kind="stable", na_position="last")


def _table(table: pd.DataFrame, key: str, id_column: str, alt: str) -> None:
    shown = _readable(table.head(SHOWN))
    widgets.selectable(
        shown, list(shown[id_column]), widgets.open_first(key), f"{key}-table",
        height=330, column_config=_columns(), alt=alt,
    )  # fmt: skip


def _choose(
    label: str, key: str, ids: list[str], named: Callable[[str], str], known: IdMap
) -> str | None:
    """Offer the ids found, and the one chosen already even if the search now hides it."""
    return address.select(
        f"{label} in detail", key, ids, None, known=known, named=named,
        placeholder=f"Choose a {label.lower()}, or select a row above",
    )  # fmt: skip


def _movie(data: Dataset, table: pd.DataFrame, index: int) -> None:
    facts = table.iloc[index]
    year = "" if pd.isna(facts[Columns.YEAR]) else f" ({facts[Columns.YEAR]:.0f})"
    widgets.section(f"{facts[Columns.TITLE]}{year}")
    own = data.ratings.rating[data.by_movie.positions(index)]
    left, right = st.columns([2, 3], gap="large")
    with left:
        genres = str(facts[Columns.GENRES]).replace("|", ", ") or NOT_MEASURED
        widgets.facts({"Genres": genres, **_rating_facts(facts, data.movies.ids[index])})
    with right:
        _own_distribution(data, own, "its ratings")


def _user(data: Dataset, table: pd.DataFrame, index: int) -> None:
    facts = table.iloc[index]
    widgets.section(f"User {facts[Columns.USER]}")
    left, right = st.columns([2, 3], gap="large")
    with left:
        widgets.facts({**_profile(facts), **_rating_facts(facts, data.users.ids[index])})
    with right:
        own = data.ratings.rating[data.by_user.positions(index)]
        _own_distribution(data, own, "this user's ratings")
    st.dataframe(
        _readable(ratings.user_history(data, index)),
        hide_index=True,
        height=330,
        column_config=_columns(),
        alt="All ratings of this user, newest first",
    )


def _own_distribution(data: Dataset, own: np.ndarray[Any, Any], of: str) -> None:
    if not len(own):
        widgets.mute("Nobody rated it.")
        return
    shares, everyone = ratings.level_shares(data, own), cache.level_shares(data)
    widgets.figure(ratings.rating_distribution(shares, everyone, of=of), "own-levels", height=260)


def _profile(facts: pd.Series) -> dict[str, str]:
    labels = {
        Columns.AGE: "Age",
        Columns.GENDER: "Gender",
        Columns.OCCUPATION: "Occupation",
        Columns.ZIP_CODE: "Zip code",
    }
    profile = {}
    for column, label in labels.items():
        if column in facts and not pd.isna(facts[column]):
            value = facts[column]
            profile[label] = f"{value:.0f} years" if column == Columns.AGE else str(value)
    return profile


def _rating_facts(facts: pd.Series, own_id: str) -> dict[str, str]:
    return {
        "Ratings": integer(facts["ratings"]),
        "Mean": f"{decimal(facts['mean'], 2)} stars",
        "Spread": f"{decimal(facts['spread'], 2)} stars (standard deviation)",
        "Id": own_id,
    }


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.drop(columns=Columns.ZIP_CODE, errors="ignore").reset_index(drop=True)
    if Columns.GENRES in shown:
        shown[Columns.GENRES] = shown[Columns.GENRES].str.replace("|", ", ", regex=False)
    return shown


def _columns() -> dict[str, Any]:
    config = st.column_config
    return {
        Columns.MOVIE: config.TextColumn("Id", width=70),
        Columns.USER: config.TextColumn("User", width=90),
        Columns.TITLE: config.TextColumn("Title", width=300),
        Columns.YEAR: config.NumberColumn("Year", format="%d", width=70),
        Columns.GENRES: config.TextColumn("Genres", width="medium"),
        Columns.AGE: config.NumberColumn("Age (years)", format="%d", width=100),
        Columns.GENDER: config.TextColumn("Gender", width=80),
        Columns.OCCUPATION: config.TextColumn("Occupation", width="medium"),
        Columns.RATING: config.NumberColumn("Rating (stars)", format="%.1f", width=110),
        Columns.TIMESTAMP: config.DatetimeColumn("Given (UTC)", format="D MMM YYYY, HH:mm"),
        "ratings": config.NumberColumn("Ratings", format="localized", width=80),
        "mean": config.NumberColumn("Mean (stars)", format="%.2f", width=110),
        "spread": config.NumberColumn(
            "Spread (stars)", format="%.2f", width=120, help="Standard deviation of the ratings"
        ),
    }
