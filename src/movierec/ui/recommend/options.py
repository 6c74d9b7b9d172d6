"""How a list is made: its length, order, diversity and filters, kept in the page's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.inference.batch import Options
from movierec.inference.filters import Filters, RankBy
from movierec.ui.components import cache
from movierec.ui.components.fields import kept_as

__all__ = ["ListOptions", "options"]

_BY: dict[str, RankBy] = {"Ranking": "ranking", "Predicted rating": "rating"}
_LOOKS = ("Cards", "Table")
_LENGTHS = (5, 10, 20, 50)
DIVERSITY = (
    "0 is the plain list. Higher values trade score for variety: each next movie is the best among "
    "those least like the ones already chosen (maximal marginal relevance). At 0.3 near copies "
    "give way; at 1 only being unlike counts."
)


@dataclass(frozen=True)
class ListOptions:
    """What lists are made like, and whether they are drawn as tables."""

    options: Options
    as_table: bool


def options(data: Dataset, prefix: str, *, stars: bool, seen: bool = True) -> ListOptions:
    """Draw the inputs in a row and return what they say.

    `stars`: every version chosen predicts ratings, so they can be ranked by; `seen`: offer movies
    that the user has rated. Inputs of two views differ by their `prefix`.
    """
    with st.container(
        horizontal=True, vertical_alignment="bottom", key=f"options-{prefix}", gap="medium"
    ):
        k = st.selectbox("Movies", _LENGTHS, index=1, width=90, **kept_as(f"{prefix}-k"))
        label = st.segmented_control(
            "Ranked by", list(_BY) if stars else ["Ranking"], default="Ranking", required=True,
            help="Ranking: the order the model learnt. Predicted rating: the stars it expects.",
            **kept_as(f"{prefix}-by"),
        )  # fmt: skip
        diversity = st.slider(
            "Diversity", 0.0, 1.0, 0.0, 0.05, help=DIVERSITY, width=180,
            **kept_as(f"{prefix}-diversity"),
        )  # fmt: skip
        filters = _filters(data, prefix)
        look = st.segmented_control(
            "Shown as", _LOOKS, default=_LOOKS[0], required=True, **kept_as(f"{prefix}-look")
        )
        also = seen and st.toggle("Seen ones too", **kept_as(f"{prefix}-seen"))
    return ListOptions(Options(k, not also, filters, diversity, _BY[label]), look == _LOOKS[1])


def _filters(data: Dataset, prefix: str) -> Filters:
    count = _count(prefix)
    with st.popover(f"Filters ({count})" if count else "Filters", icon=":material/tune:"):
        genres, without = _genres(data, prefix)
        first, last = _years(data, prefix)
        rated = st.number_input(
            "Ratings a movie has at least", 0, None, 0, help="Known ratings, of everybody.",
            **kept_as(f"{prefix}-rated"),
        )  # fmt: skip
        titles = _titles(data)
        excluded = st.multiselect(
            "Leave out", list(titles), format_func=lambda movie: titles[movie],
            placeholder="No movie", **kept_as(f"{prefix}-out"),
        )  # fmt: skip
    return Filters(genres, without, first, last, int(rated), tuple(excluded))


def _genres(data: Dataset, prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    known = cache.genres(data)
    if not known:
        return (), ()
    wanted = st.multiselect(
        "Only these genres", known, placeholder="Any genre", **kept_as(f"{prefix}-genre")
    )
    unwanted = st.multiselect(
        "Not these genres", known, placeholder="None", **kept_as(f"{prefix}-not")
    )
    return tuple(wanted), tuple(unwanted)


def _years(data: Dataset, prefix: str) -> tuple[int | None, int | None]:
    if Columns.YEAR not in data.movie_frame or not data.movie_frame[Columns.YEAR].notna().any():
        return None, None
    years = data.movie_frame[Columns.YEAR]
    low, high = int(np.nanmin(years)), int(np.nanmax(years))
    if low == high:
        return None, None
    first, last = st.slider("Years", low, high, (low, high), **kept_as(f"{prefix}-years"))
    return (first if first > low else None), (last if last < high else None)


def _titles(data: Dataset) -> dict[str, str]:
    """Return the movies that can be left out by hand: the most rated, where there are many."""
    return cache.drawn(("titles", data.fingerprint), lambda: _most_rated(data))


def _most_rated(data: Dataset, limit: int = 2000) -> dict[str, str]:
    order = np.argsort(-cache.aggregates(data).movie.count, kind="stable")[:limit]
    titles: Sequence[str] = data.titles
    return {str(data.movies.ids[movie]): titles[movie] for movie in order.tolist()}


def _count(prefix: str) -> int:
    state: Any = st.session_state
    keys = ("genre", "not", "rated", "out")
    return sum(bool(state.get(f"{prefix}-{key}")) for key in keys)
