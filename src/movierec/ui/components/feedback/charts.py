"""The figure of thumbs: what share of them is up over time, version by version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

import plotly.graph_objects as go

from movierec.comparison.online_results import Online, Period, Span, share_text
from movierec.ui.components.drawing import finish, thin
from movierec.ui.components.text import integer
from movierec.ui.components.theme import VersionStyle

__all__ = ["liked_over_time"]

Styles: TypeAlias = Mapping[str, VersionStyle]

_DAYS: Mapping[Span, int] = {"day": 1, "week": 7, "month": 30}
_APART = 0.12  # of a span: how far versions stand beside each other, so that intervals show


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
        error_y={
            "type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, "width": 0,
            "array": [100 * (rate.high - rate.share) for rate in rates],
            "arrayminus": [100 * (rate.share - rate.low) for rate in rates],
        },
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
