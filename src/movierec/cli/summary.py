"""A version's numbers for the terminal: always with their protocol, beside the floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from movierec.cli.output import number, table
from movierec.store import VersionRecord

__all__ = ["evaluation_rows", "headline", "metrics_table"]

_COLUMNS = (
    ("RMSE", ("rmse",)),
    ("MAE", ("mae",)),
    ("NDCG@10 full", ("full", "ndcg_at_10")),
    ("P@10 rated", ("rated", "precision_at_10")),
    ("R@10 rated", ("rated", "recall_at_10")),
    ("NDCG@10 rated", ("rated", "ndcg_at_10")),
    ("HR@10 rated", ("rated", "hit_rate_at_10")),
)

_FLOORS = ("biases", "popular", "constant", "random")  # metadata.json sorts them by name


def headline(record: VersionRecord) -> str:
    """Return one sentence: what was trained on what, and how long it took."""
    facts = record.metadata
    seconds = facts.get("durations", {}).get("total")
    took = f" in {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    current = ", now current" if record.is_current else ""
    return (
        f"{record.name} ({record.preset}, {record.parameters:,} "
        f"parameter{'s' * (record.parameters != 1)}) on "
        f"{record.dataset_name}, {record.split_label}{took}{current}"
    )


def metrics_table(record: VersionRecord) -> Table:
    """Return the test metrics of a version above the floors of the same split."""
    own = record.metadata.get("evaluation", {})
    rows = {record.name: own}
    without = own.get("without_time") or {}
    if without.get("rmse") != own.get("rmse") and without:
        rows["  time not told"] = without
    floors = record.metadata.get("floors", {})
    rows |= {name: floors[name] for name in _FLOORS if name in floors}
    return evaluation_rows(f"Test part of {record.split_label}", rows)


def evaluation_rows(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return one row per named evaluation (`Evaluation.as_dict` form)."""
    names = [name for name, _ in _COLUMNS]
    drawn = table(title, "", *names, right=tuple(names))
    for label, facts in rows.items():
        drawn.add_row(label, *(number(_at(facts, path)) for _, path in _COLUMNS))
    return drawn


def _at(facts: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        facts = facts.get(key) or {}
    return facts if facts != {} else None
