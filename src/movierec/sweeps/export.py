"""A sweep as text, as an HTML page and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go

from movierec.export import html
from movierec.settings import Settings
from movierec.sweeps.records import SweepRecord, TrialRecord
from movierec.sweeps.report import IMPORTANT_FROM
from movierec.sweeps.storage import SweepStore

__all__ = [
    "cells",
    "html_page",
    "importance_line",
    "markdown_table",
    "point",
    "sentence",
]

_HEADINGS = ("Trial", "State", "val_rmse", "val_ndcg_10", "Epochs", "Seconds")
_CLEAR = "rgba(0,0,0,0)"
_HEIGHT = 450  # pixels of a chart


def cells(trial: TrialRecord) -> list[str]:
    """Return a trial's number, state, RMSE, NDCG@10, epochs and seconds; a dash for nothing."""
    metrics = [_number(trial.metrics.get(name), 4) for name in ("val_rmse", "val_ndcg_10")]
    state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
    return [
        str(trial.number), state, *metrics, str(trial.epochs or "–"), _number(trial.seconds, 1)
    ]  # fmt: skip


def point(record: SweepRecord, trial: TrialRecord) -> str:
    """Return the values a trial tried, in one cell."""
    return ", ".join(f"{name} {_value(trial.params.get(name))}" for name in record.search)


def sentence(record: SweepRecord) -> str:
    """Return what was searched where, for which metric, and how the trials ended."""
    counted = ", ".join(f"{count} {state}" for state, count in record.counts.items())
    aim = "lowest" if record.direction == "minimize" else "highest"
    return (
        f"{record.preset} on {record.dataset}, {record.split}, seed {record.seed}: {aim} "
        f"{record.metric} on the validation part, the test part never opened. "
        f"Trials: {counted or 'none'}."
    )


def importance_line(record: SweepRecord) -> str:
    """Return a sentence on what mattered, or from how many trials on that is known."""
    if record.importance is None:
        return (
            f"What mattered (fANOVA) is told from {IMPORTANT_FROM} finished trials on that differ."
        )
    shares = ", ".join(f"{name} {share:.0%}" for name, share in record.importance.items())
    return f"What mattered for {record.metric} (fANOVA, share of its variance): {shares}."


def markdown_table(record: SweepRecord) -> str:
    """Return the sweep in Markdown: what it was, its trials, what mattered, the command."""
    head, *body = _rows(record)
    rows = [head, ["---"] * len(head), *body]
    table = "\n".join(f"| {' | '.join(_in_a_cell(cell) for cell in row)} |" for row in rows)
    command = f"```sh\n{record.command}\n```\n" if record.command else ""
    parts = [f"**{record.name}**: {sentence(record)}", table, importance_line(record), command]
    return "\n\n".join(part for part in parts if part)


def html_page(settings: Settings, record: SweepRecord) -> str:
    """Return one page that needs no other file: charts, table and command.

    Raises:
        NotFoundError: the sweep is gone.

    """
    with SweepStore(settings).study(record.name) as study:
        figures = _figures(study, record)
    head, *rows = _rows(record)
    return html.render(
        Path(__file__).with_name("sweep.html.j2"),
        has_figures=bool(figures),
        title=f"Sweep {record.name}",
        sentence=sentence(record),
        command=record.command,
        importance=importance_line(record),
        figures=figures,
        head=head,
        rows=rows,
    )


def _figures(study: optuna.Study, record: SweepRecord) -> list[html.Figure]:
    """Return what mattered, how the best came down and which values go together."""
    from optuna import visualization

    if record.best is None:
        return []
    metric = record.metric
    charts = {
        "Trials in order": visualization.plot_optimization_history(study, target_name=metric),
        "Values and results": visualization.plot_parallel_coordinate(study, target_name=metric),
    }
    if record.importance:
        charts = {f"What mattered for {metric}": _importance_chart(record.importance), **charts}
    for chart in charts.values():
        chart.update_layout(title=None, margin_t=60, paper_bgcolor=_CLEAR, plot_bgcolor=_CLEAR)
    return [
        html.figure(chart, title=title, alt=title, height=_HEIGHT)
        for title, chart in charts.items()
    ]


def _importance_chart(importance: Mapping[str, float]) -> go.Figure:
    shares = dict(reversed([*importance.items()]))
    texts = [f"{share:.0%}" for share in shares.values()]
    bars = go.Bar(x=list(shares.values()), y=list(shares), orientation="h", text=texts)
    figure = go.Figure(bars)
    figure.update_xaxes(title="share of its variance between trials (fANOVA)", tickformat=".0%")
    return figure


def _rows(record: SweepRecord) -> list[list[str]]:
    """Return the headings and the trials, a column for each hyperparameter."""
    rows = [
        [*cells(trial), *(_value(trial.params.get(name)) for name in record.search)]
        for trial in record.trials
    ]
    return [[*_HEADINGS, *record.search], *rows]


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
