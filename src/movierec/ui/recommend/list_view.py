"""A list of recommendations: as cards with explanation and thumbs, as a table, as CSV."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from movierec.data.dataset import RatingScale
from movierec.inference import LoadedVersion, Recommendation
from movierec.inference.person import Person
from movierec.ui.components import cache, widgets
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, hits, percent, signed
from movierec.ui.recommend import explanation
from movierec.ui.recommend.choice import ListOptions, SelectedVersions

__all__ = ["ListContext", "count_served", "csv_of", "lists", "spread_strip"]

_REASONS = {
    "known": "",
    "no-ratings": "Nothing this user rated was in the train part: the list comes from what else is "
    "known of the user.",
    "newcomer": "",
    "fallback": "This version can tell nothing about them: these are the most popular movies.",
}


@dataclass(frozen=True, eq=False)
class ListContext:
    """The person whose lists are drawn, and the marks of their lines.

    `people`: the person as each version knows them. `held_out`: stars the person did give, in the
    part no version learnt from, by movie id: hits. `thumbs`: whether a thumb was given, by movie
    id; None where thumbs cannot be given.
    """

    selected: SelectedVersions
    key: str
    people: Mapping[str, Person]
    held_out: Mapping[str, float] = field(default_factory=dict)
    thumbs: Mapping[str, bool] | None = None
    give: Callable[[str, Recommendation, int | None], None] | None = None


def lists(
    context: ListContext, options: ListOptions, *, wide: bool = True
) -> dict[str, list[Recommendation]]:
    """Draw the list of each version, side by side where there are two; return them.

    With `wide` the cards of a single list stand in two columns.
    """
    found = {
        name: version.recommend_for(context.people[name], **vars(options.request))
        for name, version in context.selected.versions.items()
    }
    columns = st.columns(len(found), gap="large")
    for column, (name, lines) in zip(columns, found.items(), strict=True):
        with column, st.container(gap="small", key=f"list-{context.key}-{name}"):
            _head(context, name, lines)
            if not lines:
                widgets.mute("No movie passes the filters. Take one out.")
            elif options.as_table:
                _table(context, name, lines)
            else:
                _cards(context, name, lines, wide=wide and len(found) == 1)
    return found


def count_served(selected: SelectedVersions, what: tuple[str, ...]) -> None:
    """Count each list once, however often the page is drawn again."""
    state: Any = st.session_state
    served = (*what, *selected.versions)
    if state.get("served") != served:
        state["served"] = served
        cache.store().served.add({(name, "page"): 1 for name in selected.versions})


def csv_of(lines: Sequence[Recommendation], held_out: Mapping[str, float]) -> bytes:
    """Return a list as CSV, one line per movie."""
    rows = [
        {
            "rank": line.rank,
            "movie_id": line.movie_id,
            "title": line.title,
            "year": line.year,
            "genres": "|".join(line.genres),
            "score": line.score,
            "predicted_rating": line.predicted_rating,
            "given": held_out.get(line.movie_id),
            "reason": line.reason,
            "version": line.version,
        }
        for line in lines
    ]
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False)
    return text.getvalue().encode()


def _head(context: ListContext, name: str, lines: Sequence[Recommendation]) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", key=f"head-{context.key}-{name}"
    ):
        given = [
            context.held_out[line.movie_id] for line in lines if line.movie_id in context.held_out
        ]
        found = hits(given, len(lines), float(context.selected.data.scale.levels[-1]))
        says = f": {found}" if context.held_out else ""
        widgets.version_title(f"{name}{says}", context.selected.styles[name])
        st.download_button(
            f"Download {name}'s list", lambda: csv_of(lines, context.held_out),
            f"{name}-{context.key}.csv", "text/csv", icon=":material/download:", type="tertiary",
            key=f"csv-{context.key}-{name}", on_click="ignore", disabled=not lines,
        )  # fmt: skip
    reason = _REASONS[lines[0].reason] if lines else ""
    if reason:
        widgets.mute(reason)


def _cards(context: ListContext, name: str, lines: Sequence[Recommendation], *, wide: bool) -> None:
    """Draw one card per movie, in two columns where there is room."""
    columns = st.columns(2, gap="medium") if wide else [st.container()]
    half = -(-len(lines) // len(columns))
    for place, column in enumerate(columns):
        with column:
            for line in lines[place * half : (place + 1) * half]:
                _card(context, name, line)


def _card(context: ListContext, name: str, line: Recommendation) -> None:
    key = f"{context.key}-{name}-{line.movie_id}"
    with st.container(border=True, key=f"card-{key}", gap="small"):
        widgets.html(_movie(line, context.selected.data.scale, context.held_out.get(line.movie_id)))
        with st.container(horizontal=True, vertical_alignment="top", key=f"row-{key}"):
            why = st.expander(
                f"Why number {line.rank}?", key=f"why-{key}", on_change="rerun",
                type="compact",
            )  # fmt: skip
            if context.thumbs is not None:
                _thumb(context, key, name, line)
        if why.open:
            with why:
                explanation.why(
                    context.selected.versions[name], context.people[name], line.movie_id, key
                )


def _thumb(context: ListContext, key: str, name: str, line: Recommendation) -> None:
    given = (context.thumbs or {}).get(line.movie_id)
    at = f"thumb-{key}"

    def take() -> None:
        if context.give:
            context.give(name, line, st.session_state[at])

    st.feedback("thumbs", key=at, default=None if given is None else int(given), on_change=take)


def _movie(line: Recommendation, scale: Any, given: float | None) -> str:
    year = f' <span class="mr-note">{line.year}</span>' if line.year is not None else ""
    genres = escape(" · ".join(line.genres)) or "no genre"
    stars = ""
    if line.predicted_rating is not None:
        bar = spread_strip(line.distribution, scale) if line.distribution else ""
        stars = f'<div class="mr-stars"><b>{decimal(line.predicted_rating, 1)}</b> ★{bar}</div>'
    hit = f'<span class="mr-hit">★ gave it {given:g}</span>' if given is not None else ""
    return (
        f'<div class="mr-movie"><b class="mr-rank">{line.rank}</b><div class="mr-what">'
        f'<p class="mr-name">{escape(line.title)}{year}{hit}</p><p class="mr-mute">{genres}</p>'
        f"</div>{stars}</div>"
    )


def _table(context: ListContext, name: str, lines: Sequence[Recommendation]) -> None:
    rows: list[list[Cell | str]] = [
        [
            Cell(f"{line.rank}. {line.title}", note=str(line.year or "")),
            ", ".join(line.genres),
            decimal(line.predicted_rating, 2),
            decimal(_spread(line, context.selected.first), 2),
            signed(line.score, 3),
            f"{given:g} ★" if (given := context.held_out.get(line.movie_id)) is not None else "",
        ]
        for line in lines
    ]
    columns = [
        Column("Movie"), Column("Genres"), Column("Predicted", numeric=True, hint="Stars"),
        Column("±", numeric=True, hint="Standard deviation of the predicted rating, in stars"),
        Column("Score", numeric=True, hint="What the list is sorted by, in the model's own unit"),
        Column("Gave", numeric=True, hint="What they gave it, in the held-out part"),
    ]  # fmt: skip
    widgets.html(html_table(f"What {name} recommends", columns, rows, wrap=True, dense=True))


def _spread(line: Recommendation, version: LoadedVersion) -> float | None:
    if line.distribution is None:
        return None
    levels = version.dataset.scale.levels.tolist()
    pairs = list(zip(levels, line.distribution, strict=True))
    mean = sum(level * share for level, share in pairs)
    return float(sum(share * (level - mean) ** 2 for level, share in pairs) ** 0.5)


def spread_strip(distribution: Sequence[float], scale: RatingScale) -> str:
    """Return the probability of each rating as a strip of little bars, as HTML."""
    levels = scale.levels.tolist()
    told = ", ".join(
        f"{level:g} ★ {percent(share, 0)}"
        for level, share in zip(levels, distribution, strict=True)
    )
    top = max(distribution) or 1.0
    bars = "".join(f'<i style="height:{100 * share / top:.0f}%"></i>' for share in distribution)
    text = escape(f"Probability of each rating: {told}")
    return f'<span class="mr-spread" role="img" aria-label="{text}" title="{text}">{bars}</span>'
