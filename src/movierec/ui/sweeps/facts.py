"""What a sweep's record says, as people read it: sentences and tables, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from movierec.store.records import RunRecord
from movierec.sweeps.records import SweepRecord, TrialRecord
from movierec.ui.components.runs import facts
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, decimal, duration
from movierec.ui.sweeps.charts import METRICS

__all__ = ["done", "headline", "newest", "sentence", "sweeps_table", "trials_table"]

_SIGNS = {
    "done": "✓ done", "pruned": "✂ pruned", "failed": "✕ failed", "stopped": "■ stopped",
    "running": "● running",
}  # fmt: skip


def sweeps_table(records: Sequence[SweepRecord], runs: Sequence[RunRecord], chosen: str) -> str:
    """Return the sweeps as a table, with the state of their runs; the chosen one stands out."""
    columns = [Column("Sweep"), Column("Model"), Column("Data"), Column("Metric")]
    columns += [Column("Trials"), Column("Best", numeric=True), Column("State")]
    rows = [_listed(record, newest(record, runs)) for record in records]
    on = [place for place, record in enumerate(records) if record.name == chosen]
    return html_table("Sweeps, newest first", columns, rows, highlight=on)


def _listed(record: SweepRecord, run: RunRecord | None) -> list[Cell | str]:
    best, state = record.best, NOT_MEASURED
    if run is not None:
        state = facts.SIGNS[run.state]
    elif "running" in record.counts:
        state = "● running"
    value = NOT_MEASURED if best is None else decimal(best.value, 4)
    where = "" if best is None else f"trial {best.number}"
    return [
        record.name, record.preset, f"{record.dataset}, {record.split}", METRICS[record.metric][0],
        _counted(record) or "none yet", Cell(value, note=where), state,
    ]  # fmt: skip


def headline(record: SweepRecord) -> str:
    """Return the best value and where it was found."""
    best = record.best
    if best is None:
        return f"{record.name}: no trial has come to its end yet"
    value = f"{METRICS[record.metric][0]} {decimal(best.value, 4)}"
    return f"{record.name}: {value} in trial {best.number}, the best of {done(record)}"


def sentence(record: SweepRecord) -> str:
    """Return what is searched where, for which metric, and how the trials ended."""
    aim = "lowest" if record.direction == "minimize" else "highest"
    counted = _counted(record)
    return (
        f"{record.preset} on {record.dataset}, {record.split}, seed {record.seed}; sought is the "
        f"{aim} {METRICS[record.metric][1]}. The test part is never opened. "
        f"Trials: {counted or 'none yet'}."
    )


def _counted(record: SweepRecord) -> str:
    return ", ".join(f"{count} {state}" for state, count in record.counts.items())


def done(record: SweepRecord) -> int:
    """Return how many trials came to an end of their own."""
    return sum(trial.state in ("done", "pruned", "failed") for trial in record.trials)


def trials_table(record: SweepRecord) -> str:
    """Return the trials as a table, the best first and marked."""
    columns = [Column("Trial"), Column("State"), Column("Val. RMSE (stars)", numeric=True)]
    columns += [Column("Val. NDCG@10 (0–1)", numeric=True), Column("Best epoch", numeric=True)]
    columns += [Column("Took", numeric=True)]
    columns += [Column(name, numeric=True) for name in record.search]
    rows = [_trial(record, trial) for trial in record.trials]
    best = [place for place, trial in enumerate(record.trials) if trial is record.best]
    return html_table(f"Trials of {record.name}, best first", columns, rows, highlight=best)


def _trial(record: SweepRecord, trial: TrialRecord) -> list[Cell | str]:
    is_best = trial is record.best
    values = {
        metric: Cell(
            decimal(trial.metrics.get(metric), 4), best=is_best and metric == record.metric
        )
        for metric in METRICS
    }
    epochs = f"of {trial.epochs}" if trial.epochs else ""
    best_epoch = NOT_MEASURED if trial.best_epoch is None else str(trial.best_epoch)
    return [
        str(trial.number), Cell(_SIGNS[trial.state], note=trial.reason), *values.values(),
        Cell(best_epoch, note=epochs), duration(trial.seconds),
        *(_value(trial.params.get(name)) for name in record.search),
    ]  # fmt: skip


def _value(value: Any) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def newest(record: SweepRecord, runs: Sequence[RunRecord]) -> RunRecord | None:
    """Return the last run that worked on a sweep; not of one of its name that was deleted."""
    return next(
        (
            run
            for run in runs
            if run.request["name"] == record.name and run.created_at >= record.created_at
        ),
        None,
    )
