"""Why a movie stands in somebody's list: which of their ratings carry it, and what does besides."""

from __future__ import annotations

from collections.abc import Sequence

from movierec.inference import LoadedVersion
from movierec.inference.person import Person
from movierec.inference.results import Cause, Explanation
from movierec.ui.components import widgets
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, integer, percent, signed
from movierec.ui.recommend.movie_charts import score_effects

__all__ = ["why"]

_BASES = {
    "left-out": "Each number is what the score or the predicted stars lose when that rating alone "
    "is left out, everything else computed again.",
    "alike": "This kind of model cannot leave a rating out without training again; these are the "
    "liked movies most like this one.",
    "none": "",
}


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
        Column("Alike", numeric=True, hint="Cosine of the two movies, 1 for the same direction"),
        Column("Rated both", numeric=True, hint="Users who rated both movies: through them the one "
               "reaches the other in the graph"),
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
        "There without any rating": percent(found.popularity_share, 0),
        "Rated by": f"{percent(found.popularity)} of users",
        "Shared genres": _genres(found.shared_genres),
    }
    missing = {"Together": found.together, "There without any rating": found.popularity_share}
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
