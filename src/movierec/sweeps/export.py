"""A sweep as a page for a browser and as a table for the docs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go

from movierec.errors import SettingsError
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
    "write_text",
]

_HEADINGS = ("Trial", "State", "val_rmse", "val_ndcg_10", "Epochs", "Seconds")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .6rem; text-align: right; }
pre { background: #f2f2f2; overflow-x: auto; padding: .8rem; }
"""


def cells(trial: TrialRecord) -> list[str]:
    """Return a trial's number, state, RMSE, NDCG@10, epochs and seconds; a dash for nothing."""
    metrics = [_number(trial.metrics.get(name), 4) for name in ("val_rmse", "val_ndcg_10")]
    state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
    return [
        str(trial.number), state, *metrics, str(trial.epochs or "–"), _number(trial.seconds, 1)
    ]  # fmt: skip


def point(record: SweepRecord, trial: TrialRecord) -> str:
    """Return what a trial tried, in one cell."""
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
    """Return what mattered in words, or from when on that is told."""
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
    """Return one page that needs nothing else: pictures, table and command.

    Raises:
        NotFoundError: the sweep is gone.

    """
    with SweepStore(settings).study(record.name) as study:
        figures = _figures(study, record)
    drawn = [
        # plotly.js is five megabytes: once, and in the page
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    command = f"<pre>{escape(record.command)}</pre>" if record.command else ""
    title = f"Sweep {escape(record.name)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{escape(sentence(record))}</p>{command}<p>{escape(importance_line(record))}</p>"
        f"{''.join(drawn)}{_html_table(record)}</body></html>\n"
    )


def write_text(path: Path, text: str) -> None:
    """Write a file, in folders that are made.

    Raises:
        SettingsError: it cannot be written.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name another file."
        ) from error


def _figures(study: optuna.Study, record: SweepRecord) -> Sequence[go.Figure]:
    """Return what mattered, how the best came down and which values go together."""
    from optuna import visualization

    if record.best is None:
        return []
    label = record.metric
    figures = [
        visualization.plot_optimization_history(study, target_name=label),
        visualization.plot_parallel_coordinate(study, target_name=label),
    ]
    return [_importance_figure(record), *figures] if record.importance else figures


def _importance_figure(record: SweepRecord) -> go.Figure:
    shares = dict(reversed(list((record.importance or {}).items())))
    figure = go.Figure(
        go.Bar(
            x=list(shares.values()),
            y=list(shares),
            orientation="h",
            text=[f"{share:.0%}" for share in shares.values()],
        )
    )
    figure.update_layout(title=f"What mattered for {record.metric}")
    figure.update_xaxes(title="share of its variance between trials (fANOVA)", tickformat=".0%")
    return figure


def _html_table(record: SweepRecord) -> str:
    head, *body = _rows(record)
    drawn = "".join(f"<tr>{_html_cells('td', row)}</tr>" for row in body)
    return f"<table><thead><tr>{_html_cells('th', head)}</tr></thead><tbody>{drawn}</tbody></table>"


def _html_cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


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
