"""The selected versions and the options of their lists; all are in the page's address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import streamlit as st

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion
from movierec.inference.batch import Options
from movierec.inference.filters import Filters, RankBy
from movierec.store.records import VersionRecord
from movierec.ui.components import address, cache
from movierec.ui.components.address import bound
from movierec.ui.components.theme import VersionStyle, version_style

__all__ = ["FACTS", "ListOptions", "SelectedVersions", "choose", "list_options"]

FACTS = ("evaluation",)  # of metadata: what choosing needs
_VERSION, _BESIDE = "version", "beside"
_MOST_BESIDE = 3  # lists stand in columns


Head: TypeAlias = Callable[[str, str], None]  # draws the page's title and lead

_BY: dict[str, RankBy] = {"Ranking": "ranking", "Predicted rating": "rating"}
_LOOKS = ("Cards", "Table")
_LENGTHS = (5, 10, 20, 50)
DIVERSITY = (
    "0 is the plain list. Higher values trade score for variety: each next movie is the best among "
    "those least like the ones already chosen (maximal marginal relevance). At 0.3 near copies "
    "give way; at 1 only being unlike counts."
)


@dataclass(frozen=True, eq=False)
class SelectedVersions:
    """One version, or some side by side, of the same data set; ready to answer."""

    versions: Mapping[str, LoadedVersion]
    records: Mapping[str, VersionRecord]
    styles: Mapping[str, VersionStyle]

    @property
    def first(self) -> LoadedVersion:
        """The version that was chosen first."""
        return next(iter(self.versions.values()))

    @property
    def data(self) -> Dataset:
        """The data set of them all."""
        return self.first.dataset

    def mark(self, name: str) -> tuple[str, str]:
        """Return the identity of a version: its name, and its time as names are used again."""
        return name, self.records[name].created_at.isoformat()

    @property
    def kicker(self) -> str:
        """The line above the page's title."""
        return f"Recommend · {' beside '.join(self.versions)}"


def choose(records: Sequence[VersionRecord]) -> SelectedVersions:
    """Offer the version and some beside it; all are loaded.

    Raises:
        ArtifactError, NotFoundError: its files or its data set are not there.

    """
    known = {record.name: record for record in records}
    current = next((record.name for record in records if record.is_current), records[0].name)
    left, right, _ = st.columns([2, 3, 2], vertical_alignment="bottom")
    with left:
        name = address.select(
            "Version", _VERSION, list(known), current, named=lambda v: _named(known[v]),
            persist_state="session",
        )  # fmt: skip
    alike = [
        other.name
        for other in records
        if other.fingerprint == known[name].fingerprint and other.name != name
    ]
    with right:
        chosen = [name, *_beside(alike, known)]
    ever = cache.store().versions.names_ever()
    return SelectedVersions(
        {each: cache.loaded(known[each]) for each in chosen},
        {each: known[each] for each in chosen},
        {each: version_style(each, ever) for each in chosen},
    )


def _beside(alike: Sequence[str], known: Mapping[str, VersionRecord]) -> list[str]:
    """Offer versions of the same data to stand beside the first."""
    state: Any = st.session_state
    asked = address.asked(_BESIDE)
    if asked:
        state[_BESIDE] = asked
    state[_BESIDE] = [name for name in state.get(_BESIDE, []) if name in alike][:_MOST_BESIDE]
    chosen = st.multiselect(
        "Compare with", alike, key=_BESIDE, format_func=lambda name: _named(known[name]),
        max_selections=_MOST_BESIDE, placeholder="No other version", persist_state="session",
        disabled=not alike,
    )  # fmt: skip
    address.write(_BESIDE, *chosen)
    return chosen


def _named(record: VersionRecord) -> str:
    return f"{record.name} · {record.preset}{' (current)' if record.is_current else ''}"


@dataclass(frozen=True)
class ListOptions:
    """The request to a version, and whether its list is drawn as a table."""

    request: Options
    as_table: bool


def list_options(data: Dataset, prefix: str, *, stars: bool, seen: bool = True) -> ListOptions:
    """Draw the inputs in a row and return their values.

    `stars`: every version chosen predicts ratings, so they can be ranked by; `seen`: offer movies
    that the user has rated. Inputs of two views differ by their `prefix`.
    """
    with st.container(
        horizontal=True, vertical_alignment="bottom", key=f"options-{prefix}", gap="medium"
    ):
        k = st.selectbox("Movies", _LENGTHS, index=1, width=90, **bound(f"{prefix}-k"))
        label = st.segmented_control(
            "Ranked by", list(_BY) if stars else ["Ranking"], default="Ranking", required=True,
            help="Ranking: the order the model learnt. Predicted rating: the stars it expects.",
            **bound(f"{prefix}-by"),
        )  # fmt: skip
        diversity = st.slider(
            "Diversity", 0.0, 1.0, 0.0, 0.05, help=DIVERSITY, width=180,
            **bound(f"{prefix}-diversity"),
        )  # fmt: skip
        filters = _filters(data, prefix)
        drawn_as = st.segmented_control(
            "Shown as", _LOOKS, default=_LOOKS[0], required=True, **bound(f"{prefix}-look")
        )
        also = seen and st.toggle("Include rated movies", **bound(f"{prefix}-seen"))
    return ListOptions(Options(k, not also, filters, diversity, _BY[label]), drawn_as == _LOOKS[1])


def _filters(data: Dataset, prefix: str) -> Filters:
    count = _count(prefix)
    with st.popover(f"Filters ({count})" if count else "Filters", icon=":material/tune:"):
        genres, without = _genres(data, prefix)
        first, last = _years(data, prefix)
        rated = st.number_input(
            "Ratings a movie has at least", 0, None, 0, help="Known ratings, of everybody.",
            **bound(f"{prefix}-rated"),
        )  # fmt: skip
        titles = _titles(data)
        excluded = st.multiselect(
            "Leave out", list(titles), format_func=lambda movie: titles[movie],
            placeholder="No movie", **bound(f"{prefix}-out"),
        )  # fmt: skip
    return Filters(genres, without, first, last, int(rated), tuple(excluded))


def _genres(data: Dataset, prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    known = cache.genres(data)
    if not known:
        return (), ()
    wanted = st.multiselect(
        "Only these genres", known, placeholder="Any genre", **bound(f"{prefix}-genre")
    )
    unwanted = st.multiselect(
        "Not these genres", known, placeholder="None", **bound(f"{prefix}-not")
    )
    return tuple(wanted), tuple(unwanted)


def _years(data: Dataset, prefix: str) -> tuple[int | None, int | None]:
    if Columns.YEAR not in data.movie_frame or not data.movie_frame[Columns.YEAR].notna().any():
        return None, None
    years = data.movie_frame[Columns.YEAR]
    low, high = int(np.nanmin(years)), int(np.nanmax(years))
    if low == high:
        return None, None
    first, last = st.slider("Years", low, high, (low, high), **bound(f"{prefix}-years"))
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
