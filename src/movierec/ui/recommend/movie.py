"""The Recommend page's view on one movie: its facts, who likes it, and what is like it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from movierec.inference import SimilarMovie
from movierec.inference.movies import groups_of
from movierec.ui.components import cache, frames, rating_charts, widgets
from movierec.ui.components.fields import kept_as
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, integer, percent
from movierec.ui.recommend import movie_charts
from movierec.ui.recommend.choice import SelectedVersions, kept_choice

__all__ = ["movie", "pick_movie"]

_KEY = "movie"
_OFFERED = 50

Head = Callable[[str, str], None]


def movie(sides: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    data = sides.data
    movie_id = pick_movie(sides)
    at = data.movies.index(movie_id)
    hit = cache.movie_search(data).hit(at)
    year = "" if hit.year is None else f" ({hit.year})"
    own = data.ratings.rating[data.by_movie.positions(at)]
    mean = float(own.mean()) if len(own) else float("nan")
    head(f"{hit.title}{year} and what is like it", "Similar to the versions, not to a critic: "
         "movies whose vectors point the same way, or that the same people rated.")  # fmt: skip
    widgets.chips(_chips(sides, at, own, mean))
    st.space("small")
    _similar(sides, movie_id)
    if len(own):
        _raters(sides, at, own, mean)


def pick_movie(sides: SelectedVersions) -> str:
    """Search for a movie by title and choose one; it is in the page's address."""
    search = cache.movie_search(sides.data)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    text = left.text_input(
        "Search titles", type="search", live=True, placeholder="A title, a year, or both",
        **kept_as("mq"),
    )  # fmt: skip
    hits = search.find(text or "", _OFFERED)
    if not hits:
        widgets.mute("No title fits; these are the most rated movies.")
        hits = search.find("", _OFFERED)
    asked: str = st.query_params.get(_KEY) or st.session_state.get(_KEY) or ""
    ids = [hit.movie_id for hit in hits]
    if not text and asked in sides.data.movies and asked not in ids:
        ids.insert(0, asked)
    named = {hit.movie_id: hit for hit in hits}

    def label(movie_id: str) -> str:
        hit = named.get(movie_id) or search.hit(sides.data.movies.index(movie_id))
        return f"{hit.title}{'' if hit.year is None else f' ({hit.year})'}"

    with right:
        return kept_choice("Movie", _KEY, ids, ids[0], label)


def _chips(sides: SelectedVersions, at: int, own: np.ndarray, mean: float) -> dict[str, str]:
    counts = cache.aggregates(sides.data).movie.count
    genres = sides.first.facts(at)[3]
    return {
        "Genres": ", ".join(genres) or "none",
        "Ratings": integer(len(own)),
        "Rated by": f"{percent(len(own) / max(1, sides.data.n_users))} of users",
        "Place by ratings": integer(int((counts > counts[at]).sum()) + 1),
        "Mean": f"{decimal(mean, 2)} ★",
        "Id": str(sides.data.movies.ids[at]),
    }


def _similar(sides: SelectedVersions, movie_id: str) -> None:
    widgets.section("Most alike")
    columns = st.columns(max(2, len(sides.versions)), gap="large")
    for column, (name, version) in zip(columns, sides.versions.items(), strict=False):
        with column:
            lines = version.similar(movie_id, 10)
            widgets.html(
                f'<h3 class="mr-chart-title"><i class="mr-swatch" style="background:'
                f'{sides.styles[name].colour}"></i>{name}{_basis(lines)}</h3>'
            )
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
        Column("Alike", numeric=True, hint="Cosine: 1 for the same direction, 0 for unrelated"),
    ]  # fmt: skip
    return html_table(f"Movies most alike to {name}", columns, rows, wrap=True)


def _raters(sides: SelectedVersions, at: int, own: np.ndarray, mean: float) -> None:
    data = sides.data
    widgets.section("Who likes it")
    left, right = st.columns(2, gap="large")
    with left:
        figure = rating_charts.rating_distribution(
            frames.level_shares(data, own), cache.level_shares(data), of="its ratings"
        )
        widgets.figure(figure, "levels")
    with right:
        shown = movie_charts.groups(groups_of(data, at), mean)
        if shown is None:
            widgets.mute("Nothing is known of its raters, or too few of any kind rated it.")
        else:
            widgets.figure(shown, "groups")
