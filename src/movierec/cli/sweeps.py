"""`movierec sweeps`: list, show and delete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import JsonOption, emit, number, table
from movierec.settings import load_settings

if TYPE_CHECKING:
    from movierec.sweeps.records import SweepRecord

__all__ = ["app", "drawn"]

SHOWN = 10
_RIGHT = ("RMSE", "NDCG@10", "Epochs", "Seconds")
_COLUMNS = ("Trial", "State", *_RIGHT, "With")

app = typer.Typer(name="sweeps", help="List, show, export and delete sweeps.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the sweep.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all sweeps, newest first."""
    from movierec.sweeps.report import sweep_records

    records = sweep_records(load_settings())
    emit(as_json, records, lambda: _listed(records))


@app.command()
def show(
    name: Name,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with pictures to this file.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table in Markdown to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a sweep's trials, the best first, what mattered, and how to train the best."""
    from movierec.sweeps.export import html_page, markdown_table, write_text
    from movierec.sweeps.report import sweep_record

    settings = load_settings()
    record = sweep_record(settings, name, importance=True)
    if html is not None:
        write_text(html, html_page(settings, record))
    if markdown is not None:
        write_text(markdown, markdown_table(record))
    emit(as_json, record, lambda: drawn(record, len(record.trials)))


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a sweep with its trials; versions that were trained from it stay."""
    from movierec.sweeps.report import delete_sweep, sweep_record

    settings = load_settings()
    trials = len(sweep_record(settings, name).trials)
    if not yes:
        typer.confirm(f"Delete {name} and its {trials} trials?", abort=True, err=True)
    delete_sweep(settings, name)
    emit(as_json, {"deleted": name, "trials": trials}, lambda: f"{name} is deleted.")


def drawn(record: SweepRecord, most: int = SHOWN) -> RenderableType:
    """Return a sweep for the terminal: its `most` best trials, what mattered, the command."""
    from movierec.sweeps.export import cells, importance_line, point, sentence

    trials = table(f"Sweep {record.name}", *_COLUMNS, right=_RIGHT)
    for trial in record.trials[:most]:
        trials.add_row(*map(Text, (*cells(trial), point(record, trial))))
    left = len(record.trials) - most
    lines = [f"{left} more: movierec sweeps show {record.name}"] if left > 0 else []
    lines += [importance_line(record)]
    lines += ["Train the best:", record.command] if record.command else []
    return Group(Text(sentence(record)), trials, *map(Text, lines))


def _listed(records: list[SweepRecord]) -> RenderableType:
    if not records:
        return "There is no sweep yet. Start one: movierec sweep"
    right = ("Trials", "Best")
    names = ("Sweep", "Model", "Data set", "Split", "Metric", *right, "Started")
    listed = table("Sweeps", *names, right=right)
    for record in records:
        best = record.best
        listed.add_row(
            record.name,
            record.preset,
            Text(record.dataset),
            record.split,
            record.metric,
            str(len(record.trials)),
            number(None if best is None else best.value),
            record.created_at.strftime("%Y-%m-%d %H:%M"),
        )
    return listed
