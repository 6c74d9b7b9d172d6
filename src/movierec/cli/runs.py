"""`movierec runs`: what was, is and will be worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from movierec.cli.output import JsonOption, console, emit, number, table
from movierec.errors import NotFoundError
from movierec.jobs import cancel as cancel_run
from movierec.settings import load_settings
from movierec.store import EpochRecord, RunRecord, open_store

__all__ = ["app"]

app = typer.Typer(name="runs", help="List, show, read and cancel runs.", no_args_is_help=True)
Run = Annotated[int, typer.Argument(help="Number of the run.", metavar="RUN")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest runs."""
    with open_store(load_settings()) as store:
        store.runs.mark_interrupted()
        runs = store.runs.list(limit)
    emit(as_json, runs, lambda: _listed(runs))


@app.command()
def show(run: Run, as_json: JsonOption = False) -> None:
    """Show one run with its epochs."""
    with open_store(load_settings()) as store:
        store.runs.mark_interrupted()
        record, epochs = store.runs.get(run), store.runs.epochs(run)
    emit(as_json, {"run": record, "epochs": epochs}, lambda: _shown(record, epochs))


@app.command()
def logs(run: Run) -> None:
    """Print what a run's process wrote."""
    with open_store(load_settings()) as store:
        path = Path(store.runs.get(run).log_path)
    if not path.is_file():
        raise NotFoundError(
            f"Run {run} has no log.", hint="Only runs with a process of their own write one."
        )
    typer.echo(path.read_text(encoding="utf-8", errors="replace"), nl=False)


@app.command()
def cancel(run: Run) -> None:
    """Ask a run to stop; it does so within about a second."""
    record = cancel_run(load_settings(), run)
    console().print(f"Run {record.id} is {record.state}; it was asked to stop.")


def _listed(runs: list[RunRecord]) -> Table:
    drawn = table(
        "Runs", "Run", "Kind", "Model", "Data set", "State", "Done", "Stage", "Started", "Version",
        right=("Run", "Done"),
    )  # fmt: skip
    for run in runs:
        started = run.started_at or run.created_at
        drawn.add_row(
            str(run.id), run.kind, run.preset, Text(run.dataset_name), run.state,
            f"{run.progress:.0%}", Text(run.stage), started.strftime("%Y-%m-%d %H:%M"),
            run.version or "",
        )  # fmt: skip
    return drawn


def _shown(run: RunRecord, epochs: list[EpochRecord]) -> RenderableType:
    columns = ("Epoch", "Train loss", "Val. loss", "Val. RMSE", "Val. NDCG@10", "Seconds")
    drawn = table("Epochs", *columns, "", right=columns)
    for item in epochs:
        values = (item.train_loss, item.val_loss, item.val_rmse, item.val_ndcg_10)
        best = "best so far" if item.is_best else ""
        drawn.add_row(str(item.epoch), *map(number, values), number(item.seconds, 2), best)
    return Group(_listed([run]), Text(run.error), drawn)
