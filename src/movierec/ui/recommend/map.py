"""The Recommend page's map of movies, with a user's own marked and the selected ones listed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec.inference.movie_map import MovieMap, movie_map
from movierec.ui.components import cache, widgets
from movierec.ui.components.charts import bare, finish
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import integer, percent, plotly_text
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO, SYMBOLS
from movierec.ui.recommend.choice import Head, SelectedVersions

__all__ = ["map_of_movies", "movies"]

_USER = "user"
_LISTED = 60

_GENRES = 6  # told apart by colour and mark; the rest is one group
_OTHER = "other"
_MARKS = tuple(symbol for symbol in SYMBOLS if symbol != "star")  # that one is "recommended"
_RING = {"size": 13, "symbol": "circle-open", "color": NEUTRAL, "line": {"width": 1.75}}
_STAR = {  # of no genre's colour here, and seen on white and on black
    "size": 15, "symbol": "star", "color": "#f0e442", "line": {"width": 1.25, "color": "#14212b"},
}  # fmt: skip


def movies(selected: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    version = selected.first
    found = cache.drawn(("map", *selected.mark(version.name)), lambda: movie_map(version))
    user = st.session_state.get(_USER) or st.query_params.get(_USER)
    rated: set[str] = set()
    recommended: set[str] = set()
    if user and user in version.dataset.users:
        person = version.person(user)
        rated = {str(movie) for movie in version.dataset.movies.ids[person.seen]}
        recommended = {line.movie_id for line in version.recommend_for(person, 10)}
    marks = f" Rings: rated by user {user}; stars: recommended to them." if rated else ""
    head(
        f"The movies as {version.name} sees them",
        f"Near movies are alike to the version. Draw a loop around some to list them.{marks}",
    )
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


def map_of_movies(
    found: MovieMap, rated: Collection[str] = (), recommended: Collection[str] = (), whose: str = ""
) -> go.Figure:
    """Draw the movies by genre, with rings around rated movies and stars on recommended ones.

    Each point's `customdata` is the movie's id, so that a selection can be read.
    """
    table = found.movies
    common = list(table["genre"].value_counts().index[:_GENRES])
    figure = go.Figure()
    figure.add_traces(_by_genre(table, common))
    by = f" by {whose}" if whose else ""
    for name, ids, marker in ((f"rated{by}", rated, _RING), ("recommended", recommended, _STAR)):
        part = table[table["movie_id"].isin(ids)]
        if len(part):
            figure.add_trace(
                _points(part, name, marker=marker, hovertemplate="%{text}<extra></extra>")
            )
    figure.update_layout(
        showlegend=True, height=620, dragmode="lasso", legend={"itemsizing": "constant"}
    )
    figure.update_xaxes(showticklabels=False, zeroline=False, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=False, showgrid=False, scaleanchor="x")
    title = (
        f"{integer(len(table))} movies, near ones alike to the version; this plane holds "
        f"{percent(found.explained, 0)} of the differences"
    )
    alt = f"Map of the {integer(len(table))} most rated movies, coloured by first genre."
    drawn = finish(figure, title, alt, x="first principal component", y="second component")
    return drawn.update_layout(legend={"itemsizing": "constant"})


def _by_genre(table: pd.DataFrame, common: list[str]) -> list[go.Scatter]:
    """Return the points of the rest, which lie below, and of each common genre."""
    rest = table[~table["genre"].isin(common)]
    traces = [_of_genre(rest, _OTHER, NEUTRAL, "circle", 0.35)] if len(rest) else []
    looks = zip(common, OKABE_ITO, _MARKS, strict=False)
    return traces + [
        _of_genre(table[table["genre"] == genre], genre, colour, symbol, 0.75)
        for genre, colour, symbol in looks
    ]


def _points(part: pd.DataFrame, name: str, **look: Any) -> go.Scatter:
    return go.Scatter(
        x=part["x"],
        y=part["y"],
        mode="markers",
        name=plotly_text(name),
        text=[plotly_text(title) for title in part["title"]],
        customdata=part[["movie_id", "ratings"]],
        **look,
    )


def _of_genre(
    part: pd.DataFrame, genre: str, colour: str, symbol: str, opacity: float
) -> go.Scatter:
    marker = {"size": 6, "opacity": opacity, "color": colour, "symbol": symbol}
    hover = "%{text}<br>%{customdata[1]:,} ratings<extra></extra>"
    return _points(part, genre, marker=marker, hovertemplate=hover)
