"""The movies of a version on a plane, somebody's own marked."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
import plotly.graph_objects as go

from movierec.inference.movie_map import MovieMap
from movierec.ui.components.drawing import finish
from movierec.ui.components.text import integer, percent, plotly_text
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO, SYMBOLS

__all__ = ["map_of_movies"]

_GENRES = 6  # told apart by colour and mark; the rest is one group
_OTHER = "other"
_MARKS = tuple(symbol for symbol in SYMBOLS if symbol != "star")  # that one is "recommended"
_STAR, _STAR_EDGE = "#f0e442", "#14212b"  # of no genre here, and seen on white and on black


def map_of_movies(
    found: MovieMap, rated: Collection[str] = (), recommended: Collection[str] = (), whose: str = ""
) -> go.Figure:
    """Draw the movies by genre, with what somebody rated ringed and what they get starred.

    Each point's `customdata` is the movie's id, so that a selection can be read.
    """
    table = found.movies
    common = list(table["genre"].value_counts().index[:_GENRES])
    figure = go.Figure()
    figure.add_traces(_by_genre(table, common))
    by = f" by {whose}" if whose else ""
    for name, ids in ((f"rated{by}", rated), ("recommended", recommended)):
        part = table[table["movie_id"].isin(ids)]
        if len(part):
            figure.add_trace(_mark(part, name, is_star=name == "recommended"))
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
    traces = [_points(rest, _OTHER, -1)] if len(rest) else []
    return traces + [
        _points(table[table["genre"] == genre], genre, place) for place, genre in enumerate(common)
    ]


def _points(part: pd.DataFrame, genre: str, place: int) -> go.Scatter:
    colour = NEUTRAL if place < 0 else OKABE_ITO[place]
    return go.Scatter(
        x=part["x"],
        y=part["y"],
        mode="markers",
        name=plotly_text(genre),
        text=[plotly_text(title) for title in part["title"]],
        customdata=part[["movie_id", "ratings"]],
        marker={
            "size": 6,
            "opacity": 0.35 if place < 0 else 0.75,
            "color": colour,
            "symbol": "circle" if place < 0 else _MARKS[place],
        },
        hovertemplate="%{text}<br>%{customdata[1]:,} ratings<extra></extra>",
    )


def _mark(part: pd.DataFrame, name: str, *, is_star: bool) -> go.Scatter:
    ring = {"size": 13, "symbol": "circle-open", "color": NEUTRAL, "line": {"width": 1.75}}
    star = {"size": 15, "symbol": "star", "color": _STAR,
            "line": {"width": 1.25, "color": _STAR_EDGE}}  # fmt: skip
    return go.Scatter(
        x=part["x"],
        y=part["y"],
        mode="markers",
        name=plotly_text(name),
        text=[plotly_text(title) for title in part["title"]],
        customdata=part[["movie_id", "ratings"]],
        marker=star if is_star else ring,
        hovertemplate="%{text}<extra></extra>",
    )
