"""`movierec recommend`: a user's list."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from movierec.cli.output import JsonOption, emit, number, table
from movierec.inference import LoadedVersion, Recommendation, load_version
from movierec.settings import load_settings

__all__ = ["recommend"]

_REASONS = {
    "known": "from the user's ratings",
    "no-ratings": "the user has no rating in the train part: from what else is known",
    "fallback": "this user is unknown: the most popular movies",
}


def recommend(
    user: Annotated[str, typer.Option(help="Id of the user, as in the data set.")],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Length of the list.")] = 10,
    version: Annotated[str, typer.Option(help="Which version.")] = "current",
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also movies the user has rated.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recommend movies to a user."""
    loaded = load_version(version, load_settings())
    lines = loaded.recommend(user, k, exclude_seen=not include_seen)
    facts = {"version": loaded.name, "user": user, "recommendations": lines}
    emit(as_json, facts, lambda: _drawn(loaded, user, lines))


def _drawn(loaded: LoadedVersion, user: str, lines: list[Recommendation]) -> Table:
    right = ("", "Predicted rating", "Year", "Score")
    names = ("", "Movie", "Year", "Genres", "Predicted rating", "Score")
    drawn = table(f"For user {escape(user)}, by {loaded.name}", *names, right=right)
    for line in lines:
        drawn.add_row(
            str(line.rank),
            Text(line.title),
            "–" if line.year is None else str(line.year),
            Text(", ".join(line.genres)),
            number(line.predicted_rating, 2),
            number(line.score, 3),
        )
    drawn.caption = _REASONS[lines[0].reason] if lines else "no movie is left to recommend"
    drawn.caption_justify = "left"
    return drawn
