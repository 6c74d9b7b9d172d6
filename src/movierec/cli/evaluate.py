"""`movierec evaluate`: measure a kept version again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from movierec.cli.output import JsonOption, emit, number, table
from movierec.evaluation import Evaluation
from movierec.settings import load_settings
from movierec.workflows.measure import evaluate_version

__all__ = ["evaluate"]

_CERTAINTY = {
    "ece": "calibration error (ECE)",
    "nll": "NLL (nats per rating)",
    "coverage_80": "inside the 80 % interval",
    "claimed_80": "said to be inside",
    "width_80": "its width (stars)",
}


def evaluate(
    version: Annotated[str, typer.Argument(help="Which version.")] = "current",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Length of the lists.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Measure a version from its files: ratings, ranking, beyond accuracy, certainty, slices."""
    found = evaluate_version(version, load_settings(), k=k)
    facts = {
        **found.as_dict(),
        "slices": found.slice_rows(),
        "reliability": found.reliability_rows(),
    }
    emit(as_json, {"version": version, **facts}, lambda: _drawn(version, found, facts))


def _drawn(version: str, found: Evaluation, facts: dict[str, Any]) -> RenderableType:
    title = f"{version}: test part of {found.protocol['split']}, {found.n_ratings:,} ratings"
    ratings = table(title, "RMSE", "MAE", right=("RMSE", "MAE"))
    ratings.add_row(number(found.rmse), number(found.mae))
    drawn = [ratings, _ranking(found), _beyond(found)]
    if found.calibration["n"]:
        drawn.append(_certainty(found))
    return Group(*drawn, _slices(facts["slices"]))


def _ranking(found: Evaluation) -> Table:
    names = tuple(map(_heading, found.full))
    who = found.protocol.get("users_ranked")
    title = f"Ranking, {who}" if who else "Ranking"
    drawn = table(title, "Protocol", *names, right=names)
    for label in ("full", "full_4", "rated"):
        drawn.add_row(label, *(number(value) for value in getattr(found, label).values()))
    return drawn


def _beyond(found: Evaluation) -> Table:
    names = tuple(map(_heading, found.beyond))
    drawn = table("Beyond accuracy, over the full lists", *names, right=names)
    drawn.add_row(*(number(value) for value in found.beyond.values()))
    return drawn


def _certainty(found: Evaluation) -> Table:
    values = {label: found.calibration[key] for key, label in _CERTAINTY.items()}
    drawn = table("How sure it is, and how rightly", *values, right=tuple(values))
    drawn.add_row(*map(number, values.values()))
    return drawn


def _slices(rows: list[dict[str, Any]]) -> Table:
    keys = list(rows[0]) if rows else []
    right = tuple(_heading(key) for key in keys if key not in ("slice", "value"))
    drawn = table("Slices", *map(_heading, keys), right=right)
    for row in rows:
        drawn.add_row(*(Text(v) if isinstance(v, str) else number(v) for v in row.values()))
    return drawn


def _heading(key: str) -> str:
    """Return a key as words that can be folded: `ndcg_at_10` becomes "ndcg@10"."""
    return key.replace("_at_", "@").replace("_", " ")
