"""Figures of rating data: frame in, Plotly figure out, nothing else touched.

Each figure carries its message as title and the text for those
who cannot see it in `layout.meta["alt"]`. Colours left open here are the theme's: the first one
is the accent, in light and in dark.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from movierec.ui.components.drawing import finish, mark, row_of, thin
from movierec.ui.components.text import integer, percent
from movierec.ui.components.theme import NEUTRAL

__all__ = [
    "concentration",
    "rating_distribution",
    "ratings_over_time",
    "share_held_by_top",
    "stars",
]


def rating_distribution(
    shares: pd.DataFrame, reference: pd.DataFrame | None = None, *, of: str = "all ratings"
) -> go.Figure:
    """Draw the share of each rating level as bars.

    Args:
        shares: columns `level` (stars), `count`, `share` (0–1).
        reference: the same columns for everybody, drawn as marks to compare with.
        of: what the ratings belong to, for the title.

    """
    top = row_of(shares, shares["count"].argmax())
    title = f"{stars(top['level'])} is the most common rating: {percent(top['share'])} of {of}"
    figure = go.Figure(
        go.Bar(
            x=shares["level"],
            y=100 * shares["share"],
            customdata=shares["count"],
            name="these ratings",
            hovertemplate="%{x} stars: %{y:.1f} % (%{customdata:,} ratings)<extra></extra>",
        )
    )
    if reference is not None:
        figure.add_scatter(
            x=reference["level"],
            y=100 * reference["share"],
            mode="markers",
            name="whole data set",
            marker={"symbol": "line-ew-open", "size": 26, "color": NEUTRAL, "line": {"width": 3}},
            hovertemplate="whole data set, %{x} stars: %{y:.1f} %<extra></extra>",
        )
    figure.update_layout(bargap=0.25, showlegend=reference is not None)
    if len(shares) <= 11:
        figure.update_xaxes(tickvals=shares["level"])
    alt = "Bars per rating: " + ", ".join(
        f"{level:g} stars {percent(share)}"
        for level, share in zip(shares["level"], shares["share"], strict=True)
    )
    return finish(figure, title, alt, x="rating (stars)", y="share of ratings (%)")


def ratings_over_time(counts: pd.DataFrame) -> go.Figure:
    """Draw how many ratings were given in each period; columns `start` (datetime), `count`."""
    peak = row_of(counts, counts["count"].argmax())
    total = int(counts["count"].sum())
    title = (
        f"{peak['start']:%B %Y} was the busiest month: "
        f"{percent(peak['count'] / total)} of all ratings"
    )
    figure = go.Figure(
        go.Bar(
            x=counts["start"],
            y=counts["count"],
            hovertemplate="%{x|%b %Y}: %{y:,} ratings<extra></extra>",
        )
    )
    figure.update_layout(bargap=0.15, showlegend=False)
    first, last = counts["start"].iloc[0], counts["start"].iloc[-1]
    alt = (
        f"Ratings per month from {first:%B %Y} to {last:%B %Y}; most, "
        f"{integer(peak['count'])}, in {peak['start']:%B %Y}."
    )
    return finish(figure, title, alt, x="month (UTC)", y="ratings per month")


def share_held_by_top(counts: npt.NDArray[np.int64], top: float) -> float:
    """Return the share of all ratings that the most rated `top` share of them holds, 0–1."""
    ordered = np.sort(counts)[::-1]
    taken = max(1, round(top * len(ordered)))
    return float(ordered[:taken].sum() / max(1, ordered.sum()))


def concentration(
    counts: npt.NDArray[np.int64], *, noun: str, most: str, top: float = 0.1
) -> go.Figure:
    """Draw which share of the ratings the busiest share of users or movies holds.

    A Lorenz curve read from the busy end. `counts`: ratings per user or movie, (n,).
    """
    ordered = np.sort(counts)[::-1]
    held = np.concatenate([[0.0], np.cumsum(ordered) / max(1, ordered.sum())])
    place = np.linspace(0, 1, len(held))
    keep = thin(len(held))
    share = share_held_by_top(counts, top)
    title = f"The {most} {percent(top, 0)} of {noun} hold {percent(share, 0)} of the ratings"
    figure = go.Figure(
        go.Scatter(
            x=100 * place[keep],
            y=100 * held[keep],
            mode="lines",
            fill="tozeroy",
            name=noun,
            hovertemplate=f"%{{x:.1f}} % of {noun}: %{{y:.1f}} % of ratings<extra></extra>",
        )
    )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="if all were equal",
        line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )
    label = f"{percent(top, 0)} → {percent(share, 0)}"
    mark(figure, 100 * top, 100 * share, label, "bottom right")
    figure.update_layout(showlegend=True)
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 104])
    alt = f"{title}; the least busy half hold {percent(1 - share_held_by_top(counts, 0.5))}."
    return finish(
        figure, title, alt, x=f"share of {noun}, {most} first (%)", y="share of ratings (%)"
    )


def stars(level: float) -> str:
    """Return "4 stars" for 4.0 and "1 star" for 1.0."""
    return f"{level:g} star" + ("" if level == 1 else "s")
