"""A version's numbers for the terminal: always with their protocol, beside the floors."""

from __future__ import annotations

from rich.table import Table

from movierec.cli.output import number, table
from movierec.metadata import EvaluationSummary
from movierec.store import VersionRecord

__all__ = ["headline", "metrics_table"]

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
    seconds = record.metadata.durations.total
    took = "" if seconds is None else f" in {seconds:.1f} s"
    current = ", now current" if record.is_current else ""
    return (
        f"{record.name} ({record.preset}, {record.parameters:,} "
        f"parameter{'s' * (record.parameters != 1)}) on "
        f"{record.dataset_name}, {record.split_label}{took}{current}"
    )


def metrics_table(record: VersionRecord) -> Table:
    """Return the test metrics of a version above the floors of the same split."""
    own, floors = record.metadata.evaluation, record.metadata.floors
    rows = {record.name: own}
    without = own.without_time
    if without.is_recorded and without.rmse != own.rmse:
        rows["  time not told"] = EvaluationSummary(rmse=without.rmse, mae=without.mae)
    rows |= {name: floors[name] for name in _FLOORS if name in floors}
    names = [name for name, _ in _COLUMNS]
    drawn = table(f"Test part of {record.split_label}", "", *names, right=tuple(names))
    for label, evaluation in rows.items():
        drawn.add_row(label, *(number(evaluation.value_at(*path)) for _, path in _COLUMNS))
    return drawn
