"""The Recommend page's view on one movie: its facts, its raters, and similar movies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec.inference import SimilarMovie
from movierec.inference.movies import groups_of
from movierec.ui.components import address, cache, ratings, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.charts import REFERENCE, finish, interval
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, integer, percent, plotly_text
from movierec.ui.recommend.choice import Head, SelectedVersions

__all__ = ["movie", "pick_movie", "raters_by_group"]

_KEY = "movie"
_OFFERED = 50

_GROUPS = 16
_GENDERS = {"F": "women", "M": "men"}


def movie(selected: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    data = selected.data
    movie_id = pick_movie(selected)
    at = data.movies.index(movie_id)
    hit = cache.movie_search(data).hit(at)
    year = "" if hit.year is None else f" ({hit.year})"
    own = data.ratings.rating[data.by_movie.positions(at)]
    mean = float(own.mean()) if len(own) else float("nan")
    head(f"{hit.title}{year} and what is like it", "Similarity as the model sees it: "
         "movies whose vectors point the same way, or that the same people rated.")  # fmt: skip
    widgets.chips(_chips(selected, at, own, mean))
    st.space("small")
    _similar(selected, movie_id)
    if len(own):
        _raters(selected, at, own, mean)


def pick_movie(selected: SelectedVersions) -> str:
    """Search for a movie by title and choose one; it is in the page's address."""
    search = cache.movie_search(selected.data)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    text = left.text_input(
        "Search titles", type="search", live=True, placeholder="A title, a year, or both",
        **bound("mq"),
    )  # fmt: skip
    hits = search.find(text or "", _OFFERED)
    if not hits:
        widgets.mute("No title fits; these are the most rated movies.")
        hits = search.find("", _OFFERED)
    asked: str = st.query_params.get(_KEY) or st.session_state.get(_KEY) or ""
    ids = [hit.movie_id for hit in hits]
    if not text and asked in selected.data.movies and asked not in ids:
        ids.insert(0, asked)
    named = {hit.movie_id: hit for hit in hits}

    def label(movie_id: str) -> str:
        hit = named.get(movie_id) or search.hit(selected.data.movies.index(movie_id))
        return f"{hit.title}{'' if hit.year is None else f' ({hit.year})'}"

    with right:
        return address.select("Movie", _KEY, ids, ids[0], named=label, persist_state="session")


def _chips(selected: SelectedVersions, at: int, own: np.ndarray, mean: float) -> dict[str, str]:
    counts = cache.aggregates(selected.data).movie.count
    genres = selected.first.facts(at)[3]
    return {
        "Genres": ", ".join(genres) or "none",
        "Ratings": integer(len(own)),
        "Rated by": f"{percent(len(own) / max(1, selected.data.n_users))} of users",
        "Place by ratings": integer(int((counts > counts[at]).sum()) + 1),
        "Mean": f"{decimal(mean, 2)} ★",
        "Id": str(selected.data.movies.ids[at]),
    }


def _similar(selected: SelectedVersions, movie_id: str) -> None:
    widgets.section("Most alike")
    columns = st.columns(max(2, len(selected.versions)), gap="large")
    for column, (name, version) in zip(columns, selected.versions.items(), strict=False):
        with column:
            lines = version.similar(movie_id, 10)
            widgets.version_title(f"{name}{_basis(lines)}", selected.styles[name])
            if lines:
                widgets.html(_table(name, lines))
            else:
                widgets.mute("Nothing is known of this movie to compare it by.")


def _basis(lines: list[SimilarMovie]) -> str:
    if not lines:
        return ""
    return ", by its vectors" if lines[0].basis == "vectors" else ", by who rated both"


def _table(name: str, lines: list[SimilarMovie]) -> str:
    rows: list[list[Cell | str]] = [
        [
            Cell(
                f"{line.rank}. {line.title}",
                note=" · ".join([*([str(line.year)] if line.year else []), *line.genres]),
            ),
            decimal(line.similarity, 2),
        ]
        for line in lines
    ]
    columns = [
        Column("Movie"),
        Column("Similarity", True, "Cosine: 1 for the same direction, 0 for unrelated"),
    ]  # fmt: skip
    return html_table(f"Movies most alike to {name}", columns, rows, wrap=True)


def _raters(selected: SelectedVersions, at: int, own: np.ndarray, mean: float) -> None:
    data = selected.data
    widgets.section("Who likes it")
    left, right = st.columns(2, gap="large")
    with left:
        figure = ratings.rating_distribution(
            ratings.level_shares(data, own), cache.level_shares(data), of="its ratings"
        )
        widgets.figure(figure, "levels")
    with right:
        drawn = raters_by_group(groups_of(data, at), mean)
        if drawn is None:
            widgets.mute("Nothing is known of its raters, or too few of any kind rated it.")
        else:
            widgets.figure(drawn, "groups")


def raters_by_group(table: pd.DataFrame, mean: float) -> go.Figure | None:
    """Draw the mean stars of groups of raters with 95 % intervals; None without a group."""
    if table.empty:
        return None
    half = _GROUPS // 2
    drawn = table if len(table) <= _GROUPS else pd.concat([table.head(half), table.tail(half)])
    drawn = drawn.iloc[::-1]
    labels = [
        plotly_text(f"{_GENDERS.get(group, group)} ({n})")
        for group, n in zip(drawn["group"].tolist(), drawn["n"].tolist(), strict=True)
    ]
    figure = go.Figure(
        go.Scatter(
            x=drawn["mean"],
            y=labels,
            mode="markers",
            marker={"size": 9},
            error_x=interval(drawn["mean"], drawn["low"], drawn["high"], thickness=1.5, width=4),
            hovertemplate="%{y}: %{x:.2f} stars<extra></extra>",
        )
    )
    figure.add_vline(x=mean, line=REFERENCE)
    figure.update_layout(showlegend=False, height=110 + 24 * len(drawn))
    names = [_GENDERS.get(group, group) for group in table["group"]]
    means = [decimal(value, 2) for value in table["mean"].tolist()]
    title = f"Who likes it most: {names[0]}, {means[0]} stars, everybody {decimal(mean, 2)}"
    alt = "Mean stars by group: " + ", ".join(map(" ".join, zip(names, means, strict=True)))
    cut = f"; {len(drawn)} of {len(table)}" if len(drawn) < len(table) else ""
    drawn = finish(figure, title, alt, x=f"stars, 95 % interval{cut}", y="")
    return drawn.update_yaxes(title=None)
