"""Feedback on served lists: thumbs by version, over time, and as ratings to train on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from movierec.comparison.online import measure_online
from movierec.comparison.online_results import (
    Gap,
    Online,
    Period,
    Rate,
    Span,
    points_text,
    share_text,
)
from movierec.data.dataset import RatingScale
from movierec.store.records import DatasetRecord
from movierec.ui.components import cache, flash, shell, widgets
from movierec.ui.components.charts import finish, interval, thin
from movierec.ui.components.tables import TONES, Bar, Cell, Change, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, integer, literal
from movierec.ui.components.theme import Styles, VersionStyle, version_style
from movierec.workflows import feedback

__all__ = ["liked_over_time", "view"]

LEGEND = (
    "A thumb counts for the version that recommended the movie, a user's last one on a movie "
    "alone. Intervals are 95 % and take a user's thumbs together, as they come from one taste; "
    "▲ more, ▼ less, = can't tell. Decide how long a test runs before it begins: whoever looks "
    "every day and stops at the first clear difference finds some where there is none."
)
_MARKS: Mapping[str, str] = {"better": "▲", "worse": "▼", "can't tell": "="}

_DAYS: Mapping[Span, int] = {"day": 1, "week": 7, "month": 30}
_APART = 0.12  # of a span: how far versions stand beside each other, so that intervals show
_JOINED = "joined"


def view(
    versions: Sequence[str] | None,
    dataset: DatasetRecord | None,
    *,
    key: str,
    baseline: str | None = None,
) -> None:
    """Draw the thumbs on lists of some versions, or of all, and the form that joins them to data.

    `key` begins the keys of what is drawn; the first version is the baseline unless one is given.
    """
    _online(versions, key=key, baseline=baseline)
    if dataset is not None:
        _join(dataset)


def _online(versions: Sequence[str] | None, *, key: str, baseline: str | None) -> None:
    store = cache.store()
    found = measure_online(
        store.feedback.list(versions=versions), store.served.by_day(versions), versions, baseline
    )
    widgets.section(found.headline)
    if not found.thumbs:
        _lead_on(found)
        return
    ever = store.versions.names_ever()
    styles = {name: version_style(name, ever) for name in found.rates}
    if len(found.gaps) > 1:
        widgets.html(f'<ul class="mr-verdicts">{"".join(map(_verdict, found.gaps.values()))}</ul>')
    widgets.figure(liked_over_time(found, styles), f"{key}-liked")
    widgets.html(_table(found, styles))
    widgets.mute(LEGEND)


def _lead_on(found: Online) -> None:
    served = sum(rate.lists for rate in found.rates.values())
    with st.container(border=True, key="no-thumbs"):
        widgets.step(
            "Thumbs up and down say which lists people like",
            f"{integer(served)} lists were served so far. A thumb is given below a recommendation, "
            "or over the API (POST /feedback). Each counts for the version that recommended the "
            "movie.",
        )
        shell.link(
            "Recommend",
            "Give thumbs on the Recommend page",
            {"version": next(iter(found.rates))} if found.rates else None,
            icon="thumbs_up_down",
        )


def _verdict(gap: Gap) -> str:
    tone = TONES[gap.verdict] if gap.version.thumbs and gap.baseline.thumbs else "none"
    mark = _MARKS[gap.verdict] if tone != "none" else "✕"
    return f'<li class="mr-{tone}"><b>{mark}</b><span>{escape(gap.sentence)}</span></li>'


def _table(found: Online, styles: Mapping[str, VersionStyle]) -> str:
    columns = [
        Column("Version"),
        Column("Lists", numeric=True, hint="Lists served, on the page and over the API"),
        Column("Thumbs", numeric=True, hint="Thumbs on movies that this version recommended"),
        Column("Per 100 lists", numeric=True, hint="Thumbs given for 100 lists served"),
        Column("Users", numeric=True, hint="Users who gave at least one thumb"),
        Column("Thumbs up", numeric=True, hint="Share of the thumbs that are up"),
        Column("95 % interval", numeric=True),
        Column("Change (points)", numeric=True, hint="Percentage points above the baseline"),
    ]
    rows = [_row(found, rate, styles[name].colour) for name, rate in found.rates.items()]
    return html_table("Thumbs by version", columns, rows, highlight=[0] * bool(found.gaps))


def _row(found: Online, rate: Rate, colour: str) -> list[Cell | str]:
    gap = found.gaps.get(rate.version)
    note = "baseline" if gap is None and found.gaps else ""
    per = NOT_MEASURED if math.isnan(rate.per_list) else f"{100 * rate.per_list:.1f}"
    between = f"{share_text(rate.low)} to {share_text(rate.high)}" if rate.thumbs else NOT_MEASURED
    return [
        Cell(rate.version, note=note, swatch=colour),
        integer(rate.lists),
        integer(rate.thumbs),
        per,
        integer(rate.users),
        Cell(share_text(rate.share), note=f"{rate.liked:,} up" if rate.thumbs else ""),
        between,
        Cell("", change=_change(found, gap)) if gap is not None else "",
    ]


def _change(found: Online, gap: Gap) -> Change | None:
    if math.isnan(gap.delta):
        return None
    ends = [abs(end) for each in found.gaps.values() for end in (each.low, each.high)]
    scale = max((end for end in ends if math.isfinite(end)), default=0.0)
    bar = Bar(gap.delta, gap.low, gap.high, scale)
    return Change(points_text(gap.delta), TONES[gap.verdict], bar, gap.sentence)


def liked_over_time(found: Online, styles: Styles) -> go.Figure:
    """Draw each version's share of thumbs up over time with its 95 % interval."""
    drawn = {name: periods for name, periods in found.periods.items() if periods}
    figure = go.Figure()
    middle = (len(drawn) - 1) / 2
    for place, (name, periods) in enumerate(drawn.items()):
        aside = timedelta(days=_APART * _DAYS[found.span] * (place - middle))
        kept = [periods[at] for at in thin(len(periods)).tolist()]
        figure.add_trace(_line(name, kept, styles[name], aside, found.span))
    figure.update_layout(showlegend=True, height=340)
    figure.update_yaxes(range=[-3, 103], tickvals=[0, 25, 50, 75, 100])
    _few_dates(figure, drawn)
    title, alt = _title(found, drawn), _alt(drawn, found.span)
    return finish(figure, title, alt, x=f"{found.span} (UTC)", y="thumbs up (%)")


def _line(
    name: str, periods: Sequence[Period], style: VersionStyle, aside: timedelta, span: Span
) -> go.Scatter:
    rates = [period.rate for period in periods]
    told = [
        f"{name}, {_when(period, span)}<br>{share_text(rate.share)} of {integer(rate.thumbs)} "
        f"thumbs ({share_text(rate.low)} to {share_text(rate.high)}), {integer(rate.lists)} lists"
        for period, rate in zip(periods, rates, strict=True)
    ]
    return go.Scatter(
        x=[_moment(period) + aside for period in periods],
        y=[100 * rate.share for rate in rates],
        error_y=interval(
            *100 * np.array([(rate.share, rate.low, rate.high) for rate in rates]).T,
            color=style.colour, thickness=1.5,
        ),
        mode="lines+markers",
        name=name,
        text=told,
        line={"color": style.colour, "dash": style.dash, "width": 2.5},
        marker={"symbol": style.symbol, "size": 9},
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _few_dates(figure: go.Figure, drawn: Mapping[str, Sequence[Period]]) -> None:
    """Have few days named one by one: Plotly would write hours between them."""
    starts = sorted({_moment(period) for periods in drawn.values() for period in periods})
    if len(starts) <= 7:
        figure.update_xaxes(tickvals=starts, ticktext=[f"{s.day} {s:%b %Y}" for s in starts])


def _moment(period: Period) -> datetime:
    return datetime.combine(period.start, datetime.min.time())


def _when(period: Period, span: Span) -> str:
    start = period.start
    if span == "month":
        return f"{start:%B %Y}"
    text = f"{start.day} {start:%b %Y}"
    return f"week from {text}" if span == "week" else text


def _title(found: Online, drawn: Mapping[str, Sequence[Period]]) -> str:
    if not drawn:
        return "No thumb has been given yet"
    best = sorted((found.rates[name] for name in drawn), key=lambda rate: -rate.share)
    more = "".join(f", {share_text(rate.share)} of {rate.version}'s" for rate in best[1:])
    steps = len({period.start for periods in drawn.values() for period in periods})
    over = f"In one {found.span}" if steps == 1 else f"Over {steps} {found.span}s"
    return f"{over} {share_text(best[0].share)} of {best[0].version}'s thumbs are up{more}"


def _alt(drawn: Mapping[str, Sequence[Period]], span: Span) -> str:
    told = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{_when(period, span)} {share_text(period.rate.share)} of {period.rate.thumbs}"
            for period in periods
        )
        for name, periods in drawn.items()
    )
    return f"Share of thumbs up by {span} with 95 % intervals. {told or 'There is none'}."


def _join(dataset: DatasetRecord) -> None:
    """Offer to train with what people said of a data set's lists."""
    store = cache.store()
    thumbs = store.feedback.count(dataset.fingerprint)
    profiles = len(store.profiles.list(dataset.fingerprint))
    scale = RatingScale(dataset.rating_low, dataset.rating_high, dataset.rating_step)
    up, down = feedback.thumb_stars(scale)
    widgets.section("Train with it")
    widgets.mute(
        f"A new data set: the ratings of {dataset.name}, a thumb up as {up:g} stars and one down "
        f"as {down:g}, and each named profile as a user. What a user has rated before stays as it "
        f"is, and so does {dataset.name}."
    )
    _lead_to_training()
    if not thumbs + profiles:
        widgets.mute(f"There is no thumb and no named profile for {dataset.name} yet.")
        return
    key, state = f"join-name-{dataset.id}", st.session_state
    if key not in state:
        state[key] = feedback.free_name(store, dataset.name)
    with st.form("join", border=True):
        name = st.text_input("Name of the new data set", key=key, max_chars=64)
        label = f"Join {_count(thumbs, 'thumb')} and {_count(profiles, 'profile')}"
        if st.form_submit_button(label, type="primary", icon=":material/merge:"):
            with shell.errors_in_words():
                _submit(dataset, name)


def _submit(dataset: DatasetRecord, name: str) -> None:
    with st.spinner("Joining …"):
        found = feedback.join_feedback(cache.settings(), dataset.name, name)
    record = found.imported.record
    st.session_state[_JOINED] = record.name
    if found.imported.already_there:
        flash.leave(f"The same data is here already, as {record.name}.")
    new = feedback.free_name(cache.store(), dataset.name)
    flash.leave(
        f"{record.name} is here: {_count(found.thumbs, 'thumb')} and "
        f"{_count(found.profile_ratings, 'rating')} of profiles joined.",
        **{f"join-name-{dataset.id}": new},
    )


def _lead_to_training() -> None:
    """Lead on to the Train form with the data set that was made last, while it is there."""
    state: Any = st.session_state
    made = state.get(_JOINED)
    known = {record.name: record for record in cache.store().datasets.list()}
    if made not in known:
        return
    record = known[made]
    with st.container(border=True, key="joined-now"):
        widgets.step(
            "It is joined; a version trained on it knows it",
            f"{made} has {integer(record.n_ratings)} ratings by {integer(record.n_users)} users; "
            "its report on the Data page says what was left out, and why.",
        )
        shell.link("Train", literal(f"Train on {made}"), {"train-data": made, "view": "New run"})


def _count(number: int, noun: str) -> str:
    return f"{integer(number)} {noun}{'s' * (number != 1)}"
