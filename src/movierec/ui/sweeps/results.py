"""The results of a sweep as sentences, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.store.records import RunRecord
from movierec.sweeps.records import SweepRecord, TrialRecord
from movierec.ui.components.charts import finish, mark, parallel_lines, plain, row_of, scaled
from movierec.ui.components.runs import facts
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, decimal, duration, percent
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO

__all__ = [
    "METRICS",
    "done",
    "headline",
    "history",
    "importance",
    "newest",
    "parallel",
    "sentence",
    "sweeps_table",
    "trials_frame",
    "trials_table",
]

# by the metric's name: in a sentence, on an axis
METRICS: Mapping[str, tuple[str, str]] = {
    "val_rmse": ("RMSE", "validation RMSE (stars)"),
    "val_ndcg_10": ("NDCG@10", "validation NDCG@10 (0–1)"),
}
_BEST = OKABE_ITO[1]
_TICKED = 12  # trials that each have a tick

_SIGNS = {
    "done": "✓ done", "pruned": "✂ pruned", "failed": "✕ failed", "stopped": "■ stopped",
    "running": "● running",
}  # fmt: skip


def trials_frame(record: SweepRecord) -> pd.DataFrame:
    """Return the measured trials in the order they were done.

    Columns `number`, `state`, `value`, and one for each hyperparameter that varies; missing
    where a trial did not come to it.
    """
    rows = [
        {"number": trial.number, "state": trial.state, "value": trial.value,
         **{name: trial.params.get(name) for name in record.search}}
        for trial in record.trials
        if trial.value is not None and trial.state in ("done", "pruned")
    ]  # fmt: skip
    columns = ["number", "state", "value", *record.search]
    return pd.DataFrame(rows, columns=columns).sort_values("number", ignore_index=True)


def history(trials: pd.DataFrame, metric: str, *, lower_is_better: bool) -> go.Figure:
    """Draw the value of each trial and the best so far as steps; at least one trial is done.

    `trials`: as `trials_frame` returns it.
    """
    name, axis = METRICS[metric]
    done = trials.loc[trials["state"] == "done"]
    so_far = done["value"].cummin() if lower_is_better else done["value"].cummax()
    best = _best(done, lower_is_better=lower_is_better)
    last = trials["number"].max()
    figure = go.Figure(_points(done, "done", "circle", OKABE_ITO[0]))
    figure.add_trace(_points(trials.loc[trials["state"] == "pruned"], "pruned", "x", NEUTRAL))
    figure.add_scatter(
        x=[*done["number"], last], y=[*so_far, so_far.iloc[-1]], mode="lines",
        name="best so far", line={"shape": "hv", "color": _BEST, "width": 2.5},
        hoverinfo="skip",
    )  # fmt: skip
    mark(figure, best["number"], best["value"], "", "top center", _BEST)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(tickformat="d", rangemode="tozero", dtick=1 if last < _TICKED else None)
    title = _history_title(name, best, done["value"].iloc[0], len(trials))
    alt = f"{axis} of {len(trials)} trials in their order, with the best so far. {title}."
    return finish(figure, title, alt, x="trial", y=axis)


def parallel(
    trials: pd.DataFrame, search: Mapping[str, str], metric: str, *, lower_is_better: bool
) -> go.Figure:
    """Draw each done trial as a line through its hyperparameters to its value, best on top.

    The stronger, the better; the best one has a colour and marks of its own. `search` says of
    each hyperparameter what was searched, as it is typed. At least two trials are done.
    """
    metric_name, axis = METRICS[metric]
    done = trials.loc[trials["state"] == "done"]
    axes = [scaled(done[name], name, log=text.endswith(":log")) for name, text in search.items()]
    axes.append(scaled(done["value"], f"{metric_name}, best on top", flipped=lower_is_better))
    goodness = -done["value"] if lower_is_better else done["value"]
    told = [
        f"trial {number}: {metric_name} {value:.4f}"
        for number, value in zip(done["number"], done["value"], strict=True)
    ]
    figure = parallel_lines(axes, goodness.to_numpy(np.float64), told)
    best = _best(done, lower_is_better=lower_is_better)
    point = ", ".join(f"{each} {plain(best[each])}" for each in search)
    title = f"The best trial, {best['number']}: {point}"
    alt = (
        f"Parallel axes for {', '.join(search)} and {axis}, one line for each of {len(done)} "
        f"trials, the best on top. {title}; {metric_name} {decimal(best['value'], 4)}."
    )
    finish(figure, title, alt, x="", y="").update_layout(height=340, showlegend=False)
    return figure.update_xaxes(title=None)


def importance(shares: Mapping[str, float], metric: str, trials: int) -> go.Figure:
    """Draw each hyperparameter's share (0–1) of the variance of the metric, largest on top."""
    name = METRICS[metric][0]
    rows = sorted(shares.items(), key=lambda item: item[1])
    first, share = rows[-1]
    title = f"{first} mattered most: {percent(share, 0)} of the differences in {name}"
    figure = go.Figure(
        go.Bar(
            x=[100 * value for _, value in rows],
            y=[each for each, _ in rows],
            orientation="h",
            text=[percent(value, 0) for _, value in rows],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    told = ", ".join(f"{each} {percent(value, 0)}" for each, value in reversed(rows))
    alt = f"Bars of what mattered for {name} in {trials} finished trials: {told}."
    figure.update_layout(showlegend=False, height=max(180, 60 + 36 * len(rows)))
    figure.update_xaxes(range=[0, max(100 * share * 1.2, 10)])
    return finish(figure, title, alt, x=f"share of the variance of {name} (%)", y="")


def _best(done: pd.DataFrame, *, lower_is_better: bool) -> pd.Series:
    values = done["value"].to_numpy()
    return row_of(done, values.argmin() if lower_is_better else values.argmax())


def _points(trials: pd.DataFrame, name: str, symbol: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=trials["number"],
        y=trials["value"],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 8, "color": colour},
        hovertemplate=f"trial %{{x}}, {name}: %{{y:.4f}}<extra></extra>",
    )


def _history_title(name: str, best: pd.Series, first: float, count: int) -> str:
    where = f"trial {best['number']} of {count}"
    if best["value"] == first:
        return f"{name} {decimal(first, 4)} in {where}: the first one is the best so far"
    return f"{name} went from {decimal(first, 4)} to {decimal(best['value'], 4)}, best in {where}"


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
    """Return model, data, goal and how the trials ended in one sentence."""
    aim = "lowest" if record.direction == "minimize" else "highest"
    counted = _counted(record)
    return (
        f"{record.preset} on {record.dataset}, {record.split}, seed {record.seed}. Goal: "
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
