"""The explanation of a recommendation: the ratings that carry it, as text, table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

import plotly.graph_objects as go

from movierec.inference import LoadedVersion
from movierec.inference.person import Person
from movierec.inference.results import Cause, Explanation
from movierec.ui.components import widgets
from movierec.ui.components.charts import finish
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, integer, percent, plotly_text, signed
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO

__all__ = ["score_effects", "why"]

_BASES = {
    "left-out": "Each number is what the score or the predicted stars lose when that rating alone "
    "is left out, everything else computed again.",
    "alike": "This kind of model cannot leave a rating out without training again; these are the "
    "liked movies most like this one.",
    "none": "",
}

_GOOD, _BAD = OKABE_ITO[2], OKABE_ITO[1]
_TITLE = 34  # characters of a movie's title beside a bar


def why(version: LoadedVersion, person: Person, movie_id: str, key: str) -> None:
    """Draw the explanation of one movie for one person."""
    found = version.explain(person, movie_id)
    widgets.mute(found.sentence)
    if found.causes and found.basis == "left-out":
        widgets.figure(score_effects(found), f"effects-{key}", height=_height(found))
    if found.causes or found.against:
        widgets.html(_table(found))
    widgets.chips(_facts(found))
    if _BASES[found.basis]:
        widgets.mute(_BASES[found.basis])


def _height(found: Explanation) -> int:
    return 90 + 28 * (len(found.causes) + len(found.against))


def _table(found: Explanation) -> str:
    left_out = found.basis == "left-out"
    columns = [
        Column("Rated"), Column("Stars", numeric=True),
        *([Column("Score", numeric=True, hint="Change of the score by this rating, relative to the "
                  "mean over all movies"),
           Column("Predicted", numeric=True, hint="Change of the predicted rating, in stars")]
          if left_out else []),
        Column("Similarity", True, "Cosine of the two movies, 1 for the same direction"),
        Column("Rated by both", True, "Users who rated both movies: through them the one reaches "
               "the other in the graph"),
    ]  # fmt: skip
    rows = [_row(cause, left_out) for cause in (*found.causes, *found.against)]
    divide = [len(found.causes)] if found.causes and found.against else []
    return html_table(
        f"Ratings that carry {found.title}", columns, rows,
        divide_before=divide, dense=True, wrap=True,
    )  # fmt: skip


def _row(cause: Cause, left_out: bool) -> list[Cell | str]:
    effects = [signed(cause.effect, 3), signed(cause.stars_effect, 2)] if left_out else []
    return [
        Cell(cause.title, note=str(cause.year or "")),
        f"{cause.stars:g} ★",
        *effects,
        decimal(cause.similarity, 2),
        integer(cause.raters_of_both),
    ]


def _facts(found: Explanation) -> dict[str, str]:
    facts = {
        "Place": _places(found.rank, found.rank_without),
        "Together": signed(found.together, 3),
        "Score without their ratings": percent(found.popularity_share, 0),
        "Rated by": f"{percent(found.popularity)} of users",
        "Shared genres": _genres(found.shared_genres),
    }
    missing = {"Together": found.together, "Score without their ratings": found.popularity_share}
    return {
        name: text
        for name, text in facts.items()
        if text and not (name in missing and missing[name] is None)
    }


def _places(rank: int | None, without: int | None) -> str:
    if rank is None:
        return ""
    return f"{rank:,}." if without is None else f"{rank:,}., without any rating {without:,}."


def _genres(shared: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{genre} ({percent(share, 0)} of the liked)" for genre, share in shared[:3])


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
