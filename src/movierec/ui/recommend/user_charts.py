"""Figures of one user: when they rated, and what they like; and a rating's spread as a strip."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from movierec.data.dataset import RatingScale
from movierec.inference.user_profile import HistoryLine, Profile
from movierec.ui.components.drawing import finish, thin
from movierec.ui.components.text import decimal, integer, percent, plotly_text, signed
from movierec.ui.components.theme import NEUTRAL

__all__ = ["over_time", "spread_strip", "tastes"]

_LEAST = 5  # ratings from which on a genre's mean is worth a sentence
_GENRES = 12  # drawn; the rest are a rating or two


def over_time(profile: Profile) -> go.Figure | None:
    """Draw each rating by when it was given; None where the data has no times."""
    lines = [line for line in profile.history if line.time is not None]
    if not lines:
        return None
    kept = [lines[at] for at in thin(len(lines)).tolist()]
    figure = go.Figure(
        go.Scatter(
            x=[line.time for line in kept],
            y=[line.stars for line in kept],
            mode="markers",
            marker={"size": 8, "opacity": 0.55},
            text=[plotly_text(line.title) for line in kept],
            hovertemplate="%{text}<br>%{y:g} stars, %{x|%d %b %Y, %H:%M}<extra></extra>",
        )
    )
    figure.add_hline(y=profile.mean, line={"color": NEUTRAL, "dash": "dash", "width": 1.5})
    ratings = "1 rating" if len(lines) == 1 else f"{integer(len(lines))} ratings"
    title = f"{ratings} {_days(lines)}, {decimal(profile.mean, 2)} stars on average"
    figure.update_layout(showlegend=False)
    figure.update_yaxes(dtick=1)
    alt = f"Ratings of user {profile.user_id} by time. {title}."
    return finish(figure, title, alt, x="given (UTC)", y="rating (stars)")


def tastes(profile: Profile) -> go.Figure | None:
    """Draw which genres a user rated more or less than everybody; None without genres."""
    table = profile.tastes.head(_GENRES).iloc[::-1]
    if table.empty:
        return None
    names = [
        plotly_text(f"{genre}, {mean:.1f} ★")
        for genre, mean in zip(table["genre"], table["mean"], strict=True)
    ]
    figure = go.Figure(
        go.Bar(
            x=100 * table["share"],
            y=names,
            orientation="h",
            name="this user",
            customdata=np.stack([table["n"], table["mean"]], axis=1),
            hovertemplate="%{y}: %{x:.0f} % of the ratings (%{customdata[0]:.0f}), "
            "%{customdata[1]:.2f} stars<extra></extra>",
        )
    )
    figure.add_scatter(
        x=100 * table["share_of_all"],
        y=names,
        mode="markers",
        name="everybody",
        marker={"symbol": "line-ns-open", "size": 18, "color": NEUTRAL, "line": {"width": 3}},
        hovertemplate="%{y}: %{x:.0f} % of everybody's ratings<extra></extra>",
    )
    figure.update_layout(showlegend=True, bargap=0.3, height=90 + 30 * len(table))
    alt = "Share of ratings by genre: " + ", ".join(
        f"{genre} {percent(own, 0)}, everybody {percent(all_, 0)}"
        for genre, own, all_ in zip(
            table["genre"], table["share"].tolist(), table["share_of_all"].tolist(), strict=True
        )
    )
    title = _taste_title(profile)
    return finish(figure, title, alt, x="share of ratings (%)", y="").update_yaxes(title=None)


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


def _taste_title(profile: Profile) -> str:
    table = profile.tastes[profile.tastes["n"] >= _LEAST]
    if table.empty:
        return "Too few ratings of any genre to tell a taste"
    beyond = (table["share"] - table["share_of_all"]).to_numpy()
    most = table.iloc[int(beyond.argmax())]
    best = table.iloc[int(table["more"].to_numpy().argmax())]
    return (
        f"{most['genre']} more than others ({percent(most['share'], 0)} of the ratings); best "
        f"liked: {best['genre']}, {signed(best['more'], 1)} stars"
    )


def _days(lines: Sequence[HistoryLine]) -> str:
    days = {line.time.date() for line in lines if line.time is not None}
    return "on one day" if len(days) == 1 else f"on {integer(len(days))} days"
