"""Figures of one movie: which of somebody's ratings carry it, and who likes it."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

import pandas as pd
import plotly.graph_objects as go

from movierec.inference.results import Cause, Explanation
from movierec.ui.components.drawing import finish
from movierec.ui.components.text import decimal, plotly_text, signed
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO

__all__ = ["groups", "score_effects"]

_GOOD, _BAD = OKABE_ITO[2], OKABE_ITO[1]
_TITLE = 34  # characters of a movie's title beside a bar
_GROUPS = 16
_GENDERS = {"F": "women", "M": "men"}


def score_effects(found: Explanation) -> go.Figure:
    """Draw what each named rating adds to the score, or takes from it."""
    causes = [*found.causes, *found.against][::-1]
    effects = [cause.effect or 0.0 for cause in causes]
    digits = _digits(effects)
    figure = go.Figure(
        go.Bar(
            x=effects,
            y=[_named(cause) for cause in causes],
            orientation="h",
            marker={"color": [_GOOD if effect > 0 else _BAD for effect in effects]},
            text=[signed(effect, digits) for effect in effects],
            textposition="auto",
            hovertemplate=f"%{{y}}: %{{x:+.{digits + 1}f}}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.update_layout(showlegend=False, bargap=0.3, height=100 + 28 * len(causes))
    title = _effects_title(found)
    alt = f"{title}: " + ", ".join(
        f"{cause.stars:g} stars for {cause.title} {signed(cause.effect, digits)}"
        for cause in causes[::-1]
    )
    drawn = finish(figure, title, alt, x="change of the score", y="")
    return drawn.update_xaxes(nticks=4, tickangle=0).update_yaxes(title=None)


def groups(table: pd.DataFrame, mean: float) -> go.Figure | None:
    """Draw the mean stars of groups of raters with 95 % intervals; None without a group."""
    if table.empty:
        return None
    half = _GROUPS // 2
    shown = table if len(table) <= _GROUPS else pd.concat([table.head(half), table.tail(half)])
    shown = shown.iloc[::-1]
    labels = [
        plotly_text(f"{_GENDERS.get(group, group)} ({n})")
        for group, n in zip(shown["group"].tolist(), shown["n"].tolist(), strict=True)
    ]
    figure = go.Figure(
        go.Scatter(
            x=shown["mean"],
            y=labels,
            mode="markers",
            marker={"size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": shown["high"] - shown["mean"],
                "arrayminus": shown["mean"] - shown["low"],
                "thickness": 1.5,
                "width": 4,
            },
            hovertemplate="%{y}: %{x:.2f} stars<extra></extra>",
        )
    )
    figure.add_vline(x=mean, line={"color": NEUTRAL, "dash": "dash", "width": 1.5})
    figure.update_layout(showlegend=False, height=110 + 24 * len(shown))
    names = [_GENDERS.get(group, group) for group in table["group"]]
    means = [decimal(value, 2) for value in table["mean"].tolist()]
    title = f"Who likes it most: {names[0]}, {means[0]} stars, everybody {decimal(mean, 2)}"
    alt = "Mean stars by group: " + ", ".join(map(" ".join, zip(names, means, strict=True)))
    cut = f"; {len(shown)} of {len(table)}" if len(shown) < len(table) else ""
    drawn = finish(figure, title, alt, x=f"stars, 95 % interval{cut}", y="")
    return drawn.update_yaxes(title=None)


def _digits(effects: Sequence[float]) -> int:
    """Return how many digits tell the effects apart: two, and more where all are small."""
    largest = max(map(abs, effects), default=0.0)
    return 2 if largest == 0 else max(2, 1 - floor(log10(largest)))


def _named(cause: Cause) -> str:
    title = cause.title if len(cause.title) <= _TITLE else f"{cause.title[: _TITLE - 1]}…"
    return plotly_text(f"{title}, {cause.stars:g} ★")


def _effects_title(found: Explanation) -> str:
    if not found.causes:
        return "No rating raises its score"
    first = found.causes[0]
    return f"{first.stars:g} ★ for {first.title} carries it most"
