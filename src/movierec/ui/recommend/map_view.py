"""The Recommend page's map of movies, a user's own marked, and what a lasso holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from movierec.inference.movie_map import MovieMap, movie_map
from movierec.ui.components import cache, widgets
from movierec.ui.components.drawing import bare
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import integer
from movierec.ui.recommend.choice import SelectedVersions
from movierec.ui.recommend.map_figure import map_of_movies

__all__ = ["movies"]

_USER = "user"
_LISTED = 60

Head = Callable[[str, str], None]


def movies(sides: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    version = sides.first
    head(
        f"The movies as {version.name} sees them",
        "Near movies are alike to the version. Draw a loop around some to list them; the rings are "
        "what the user of the first view rated, the stars what they would get.",
    )
    found = cache.drawn(("map", *sides.mark(version.name)), lambda: movie_map(version))
    user = st.session_state.get(_USER) or st.query_params.get(_USER)
    rated: set[str] = set()
    recommended: set[str] = set()
    if user and user in version.dataset.users:
        person = version.person(user)
        rated = {str(movie) for movie in version.dataset.movies.ids[person.seen]}
        recommended = {line.movie_id for line in version.recommend_for(person, 10)}
    figure = map_of_movies(found, rated, recommended, f"user {user}" if rated else "")
    basis = "" if found.basis == "vectors" else "This version has no vectors: by who rated both."
    widgets.chart_title(figure.layout.title.text, basis)
    chosen = st.plotly_chart(
        bare(figure, 620), key="map", alt=figure.layout.meta["alt"], on_select="rerun",
        selection_mode=("lasso", "box", "points"), config={"displaylogo": False},
    )  # fmt: skip
    _selected(found, chosen)


def _selected(found: MovieMap, chosen: Any) -> None:
    points = chosen.selection.points if chosen else []
    ids = list(dict.fromkeys(str(point["customdata"][0]) for point in points))
    if not ids:
        widgets.mute("Nothing is selected. Draw a loop, or click a movie.")
        return
    table = found.movies[found.movies["movie_id"].isin(ids)]
    widgets.section(f"{integer(len(table))} selected")
    widgets.html(_table(table.head(_LISTED)))
    if len(table) > _LISTED:
        widgets.mute(f"The {_LISTED} most rated of them.")


def _table(table: pd.DataFrame) -> str:
    rows: list[list[Cell | str]] = [
        [Cell(title, note="" if pd.isna(year) else f"{year:.0f}"), genre, integer(ratings)]
        for title, year, genre, ratings in zip(
            table["title"], table["year"], table["genre"], table["ratings"], strict=True
        )
    ]
    columns = [Column("Movie"), Column("First genre"), Column("Known ratings", numeric=True)]
    return html_table("Movies selected on the map", columns, rows, wrap=True)
