"""Figures of one user's lists in two versions, and of how many users gained or lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from movierec.comparison.lists import ListLine, UserChange, UserLists
from movierec.comparison.metrics import BY_KEY, Metric
from movierec.ui.components.charts import finish, with_unit
from movierec.ui.components.text import integer, plotly_text
from movierec.ui.components.theme import NEUTRAL, Styles, VersionStyle

__all__ = ["bump", "changes"]


_TITLE = 20  # characters of a title that a narrow screen has room for on each side
_STUB = 0.1  # how far into the chart a movie goes that leaves or enters, of its width
_BINS = 41  # odd, so that one is about "no change"


def bump(lists: UserLists, baseline: str, version: str, styles: Styles) -> go.Figure:
    """Draw two lists of a user side by side, each movie in both joined by a line.

    Movies in one list alone end or begin with the rank they have in the other. Held-out hits
    have a star.
    """
    figure = go.Figure()
    notes: list[dict[str, Any]] = []
    for move in lists.moves:
        ranks = move.ranks[baseline], move.ranks[version]
        trace, note = _move(ranks, lists.k, styles[version])
        if trace is not None:
            figure.add_trace(trace)
            notes += note
    for at, name in enumerate((baseline, version)):
        for is_hit in (True, False):
            lines = [line for line in lists.lists[name] if line.is_hit == is_hit]
            if lines:
                figure.add_trace(_ends(lines, at, is_hit, styles[name]))
    for trace in _keys(styles[version]):
        figure.add_trace(trace)
    heads = [
        {"x": at, "y": 0.35, "text": f"<b>{plotly_text(name)}</b>", "showarrow": False,
         "yanchor": "bottom", "xanchor": "right" if at == 0 else "left"}
        for at, name in enumerate((baseline, version))
    ]  # fmt: skip
    figure.update_layout(annotations=heads + notes, showlegend=True, height=30 * lists.k + 110)
    figure.update_xaxes(visible=False, range=[-1.4, 2.4], fixedrange=True)
    figure.update_yaxes(visible=False, range=[lists.k + 0.6, -0.4], fixedrange=True)
    title = _bump_title(lists, baseline, version)
    alt = f"{title}. {_told(lists, baseline)} {_told(lists, version)}"
    return finish(figure, title, alt, x="", y="").update_xaxes(title=None).update_yaxes(title=None)


def _move(
    ranks: tuple[int | None, int | None], k: int, style: VersionStyle
) -> tuple[go.Scatter | None, list[dict[str, Any]]]:
    """Return the line of a movie, and the rank beside its end where it leaves or enters."""
    before, after = (rank if rank is not None and rank <= k else None for rank in ranks)
    if before is not None and after is not None:
        rises = after < before
        line = {"color": style.colour if rises else NEUTRAL, "width": 2.5 if rises else 1.75}
        if after > before:
            line["dash"] = "dash"
        return _line([0, 1], [before, after], line), []
    rank, at, elsewhere = (before, 0, ranks[1]) if before is not None else (after, 1, ranks[0])
    if rank is None:
        return None, []
    inward = _STUB if at == 0 else 1 - _STUB
    line = {"color": NEUTRAL if at == 0 else style.colour, "width": 1.5, "dash": "dot"}
    text = "known" if elsewhere is None else integer(elsewhere)
    note = {
        "x": inward, "y": rank, "text": text, "showarrow": False,
        "font": {"size": 10, "color": NEUTRAL},
        "xanchor": "left" if at == 0 else "right", "xshift": 3 if at == 0 else -3,
    }  # fmt: skip
    return _line([at, inward], [rank, rank], line), [note]


def _line(x: list[float], y: list[int], line: dict[str, Any]) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip")


def _ends(lines: Sequence[ListLine], at: int, is_hit: bool, style: VersionStyle) -> go.Scatter:
    word = "held-out hit" if is_hit else "not rated"
    sides = ("middle left", "middle right")
    return go.Scatter(
        x=[at] * len(lines),
        y=[line.rank for line in lines],
        mode="markers+text",
        text=[_label(line, at) for line in lines],
        textposition=sides[at],
        textfont={"size": 11},
        cliponaxis=False,
        name=word,
        showlegend=False,
        customdata=[_told_line(line) for line in lines],
        marker={
            "symbol": "star" if is_hit else "circle-open",
            "size": 13 if is_hit else 8,
            "color": style.colour if is_hit else NEUTRAL,
            "line": {"width": 1.5, "color": style.colour if is_hit else NEUTRAL},
        },
        hovertemplate="%{customdata}<extra></extra>",
    )


def _keys(style: VersionStyle) -> list[go.Scatter]:
    """Return the legend of marks and lines, as traces without points."""
    marks = {
        "held-out hit": {"symbol": "star", "size": 12, "color": NEUTRAL},
        "not rated": {"symbol": "circle-open", "size": 8, "color": NEUTRAL},
    }
    lines = {
        "up": {"color": style.colour, "width": 2.5},
        "down": {"color": NEUTRAL, "width": 1.75, "dash": "dash"},
        "rank elsewhere": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
    }
    nowhere = {"x": [None], "y": [None], "hoverinfo": "skip"}
    keys = [go.Scatter(mode="markers", name=n, marker=m, **nowhere) for n, m in marks.items()]
    return keys + [go.Scatter(mode="lines", name=n, line=x, **nowhere) for n, x in lines.items()]


def _label(line: ListLine, at: int) -> str:
    title = plotly_text(_cut(line.title))
    return f"{title}  {line.rank} " if at == 0 else f" {line.rank}  {title}"


def _cut(title: str, limit: int = _TITLE) -> str:
    return title if len(title) <= limit else title[: limit - 1].rstrip(" ,") + "…"


def _told_line(line: ListLine) -> str:
    year = f" ({line.year})" if line.year else ""
    predicted = "" if line.predicted is None else f", predicted {line.predicted:.1f} stars"
    given = "" if line.stars is None else f", the user gave {line.stars:g}"
    return f"{line.rank}. {plotly_text(line.title)}{year}{predicted}{given}"


def _bump_title(lists: UserLists, baseline: str, version: str) -> str:
    a, b = lists.lists[baseline], lists.lists[version]
    shared = len({line.movie_id for line in a} & {line.movie_id for line in b})
    return (
        f"{lists.hits(version)} of {len(b)} in the list of {version} are held-out hits, "
        f"{lists.hits(baseline)} of {len(a)} in that of {baseline}; {shared} are in both"
    )


def _told(lists: UserLists, name: str) -> str:
    told = ", ".join(
        f"{line.rank} {line.title}{' (hit)' if line.is_hit else ''}" for line in lists.lists[name]
    )
    return f"{name}: {told}."


def changes(
    found: Sequence[UserChange], metric: str, baseline: str, version: str, styles: Styles
) -> go.Figure:
    """Draw a histogram of the change by user; `found` holds all users.

    Users for whom nothing changed are a bar of their own.
    """
    chosen = BY_KEY[metric]
    delta = np.array([change.delta for change in found])
    gain = np.array([change.gain for change in found])
    figure = go.Figure()
    width = 2 * float(np.abs(delta).max(initial=0.0)) / _BINS or 1.0
    for rows, name, marker in (
        (gain < 0, "lost", {"color": NEUTRAL, "pattern": {"shape": "/"}}),
        (gain == 0, "as before", {"color": NEUTRAL}),
        (gain > 0, "gained", {"color": styles[version].colour}),
    ):
        if rows.any():
            figure.add_trace(_bars(delta[rows], width, name, marker, chosen))
    figure.update_layout(barmode="stack", bargap=0.08, showlegend=len(found) > 0)
    title = _changes_title(gain, chosen, baseline, version)
    alt = f"Users by the change of their {chosen.label} from {baseline} to {version}. {title}."
    side = "left" if chosen.lower_is_better else "right"
    axis = f"change of a user's {with_unit(chosen)}, {side} is better"
    return finish(figure, title, alt, x=axis, y="users")


def _bars(
    delta: np.ndarray[Any, Any], width: float, name: str, marker: dict[str, Any], metric: Metric
) -> go.Bar:
    places, counts = np.unique(np.rint(delta / width).astype(int), return_counts=True)
    return go.Bar(
        x=places * width,
        y=counts,
        width=width * 0.92,
        name=f"{name} ({integer(len(delta))})",
        marker=marker,
        hovertemplate=f"{name}, about %{{x:.{metric.digits}f}}: %{{y:,}} users<extra></extra>",
    )


def _changes_title(gain: np.ndarray[Any, Any], metric: Metric, baseline: str, version: str) -> str:
    if not len(gain):
        return f"{metric.label} was measured for no user in both {baseline} and {version}"
    gained, lost = int((gain > 0).sum()), int((gain < 0).sum())
    return (
        f"{metric.label} is better with {version} for {integer(gained)} of {integer(len(gain))} "
        f"users and worse for {integer(lost)}"
    )
