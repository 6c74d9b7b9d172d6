"""`movierec runs`: list, show, watch, cancel, resume, clone and reorder runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from movierec import jobs
from movierec.cli.options import JsonOption, assignment
from movierec.cli.output import console, emit, moment, number, table
from movierec.errors import NotFoundError, TrainingError
from movierec.jobs.retention import drop_old_checkpoints
from movierec.processes import own_mark
from movierec.registry.names import listed
from movierec.settings import load_settings
from movierec.store import ACTIVE_STATES, EpochRecord, RunRecord, RunState, Store, open_store

__all__ = ["app", "sparkline"]

POLL_SECONDS = 1.0  # how often a worker writes
BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 60  # epochs in the curve


app = typer.Typer(
    name="runs",
    help="List, show, watch, cancel, resume, clone and reorder runs.",
    no_args_is_help=True,
)
# Typer takes no list of a Literal
State = StrEnum("State", get_args(RunState))  # type: ignore[misc]
RunArgument = Annotated[int, typer.Argument(help="Number of the run.", metavar="RUN")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    state: Annotated[list[State] | None, typer.Option(help="Only this state; repeatable.")] = None,
    preset: Annotated[list[str] | None, typer.Option(help="Only this model; repeatable.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this data; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest runs."""
    with open_store(load_settings()) as store:
        store.runs.mark_interrupted()
        states = [cast("RunState", item.value) for item in state or []]
        runs = store.runs.list(limit, states, presets=preset, datasets=dataset)
    emit(as_json, runs, lambda: _listed(runs))


@app.command()
def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show one run with its epochs."""
    with open_store(load_settings()) as store:
        store.runs.mark_interrupted()
        record, epochs = store.runs.get(run), store.runs.epochs(run)
    emit(as_json, {"run": record, "epochs": epochs}, lambda: _shown(record, epochs))


@app.command()
def watch(
    run: Annotated[int | None, typer.Argument(help="Number of the run; default: newest.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a run until it ends; the exit code is 6 when it does not end well."""
    settings = load_settings()
    with open_store(settings) as store:
        record, epochs = _follow(store, _number(store, run), console(stderr=True))
    emit(as_json, {"run": record, "epochs": epochs}, lambda: _shown(record, epochs))
    if record.state != "succeeded":
        raise typer.Exit(TrainingError.exit_code)


@app.command()
def logs(
    run: RunArgument,
    follow_it: Annotated[bool, typer.Option("--follow", help="Go on until the run ends.")] = False,
) -> None:
    """Print what a run's process wrote, or where a run without a process of its own failed."""
    with open_store(load_settings()) as store:
        record = store.runs.get(run)
        if follow_it:
            for piece in _log_pieces(store, run):
                typer.echo(piece, nl=False)
            return
    path = Path(record.log_path)
    if path.is_file():
        typer.echo(path.read_text(encoding="utf-8", errors="replace"), nl=False)
    elif record.traceback:
        typer.echo(record.traceback, nl=False)
    else:
        raise NotFoundError(f"Run {run} has no log.", hint=_where_else(record))


@app.command()
def cancel(run: RunArgument, as_json: JsonOption = False) -> None:
    """Ask a run to stop; it does so within about a second."""
    record = jobs.cancel(load_settings(), run)
    is_stopping = record.state == "running"
    state = "was asked to stop" if is_stopping else f"is {record.state}"
    emit(as_json, record, lambda: f"Run {record.id} {state}.")


@app.command()
def resume(run: RunArgument, as_json: JsonOption = False) -> None:
    """Put a failed, interrupted or cancelled run back into the queue.

    A training goes on from its last checkpoint, a sweep with the trials that are missing, any
    other from the beginning.
    """
    record = jobs.resume(load_settings(), run)
    emit(as_json, record, lambda: f"Run {record.id} waits in the queue.")


@app.command()
def clone(
    run: RunArgument,
    seed: Annotated[int | None, typer.Option(help="Another seed.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another hyperparameter; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Queue a training like an earlier one, with what is given changed."""
    given = {} if seed is None else {"seed": seed}
    different = dict(map(assignment, changes or ()))
    record = jobs.clone(load_settings(), run, **given, hyperparameters=different)
    emit(as_json, record, lambda: f"Run {record.id}, cloned from run {run}, waits in the queue.")


@app.command()
def move(
    run: RunArgument,
    where: Annotated[
        Literal["first", "up", "down", "last"], typer.Argument(help="first, up, down or last.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Move a waiting run within those of its priority."""
    record = jobs.move(load_settings(), run, where)
    emit(as_json, record, lambda: f"Run {record.id} was moved.")


@app.command()
def priority(
    run: RunArgument,
    value: Annotated[int, typer.Argument(help="Higher ones are taken first; usually 0.")],
    as_json: JsonOption = False,
) -> None:
    """Set the priority of a waiting run."""
    record = jobs.set_priority(load_settings(), run, value)
    emit(as_json, record, lambda: f"Run {record.id} has priority {record.priority}.")


@app.command()
def prune(
    days: Annotated[
        float | None, typer.Option(min=0, help="Age in days; default: the setting.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete checkpoints of runs that ended without a result long ago; rows and logs stay."""
    settings = load_settings()
    age = None if days is None else timedelta(days=days)
    with open_store(settings) as store:
        freed = drop_old_checkpoints(settings, store, older_than=age)
    emit(as_json, {"freed_bytes": freed}, lambda: f"{freed / 1e6:,.1f} MB were freed.")


def _number(store: Store, run: int | None) -> int:
    latest = store.runs.latest() if run is None else store.runs.get(run)
    if latest is None:
        raise NotFoundError("There is no run yet.", hint="Start one: `movierec train`.")
    return latest.id


def _where_else(run: RunRecord) -> str:
    if run.host in ("", own_mark().host):
        return "Only runs with a process of their own write one."
    return f"It ran on {run.host}: look there, or let the machines share MOVIEREC_RUNS_DIR."


def _listed(runs: list[RunRecord]) -> RenderableType:
    if not runs:
        return "There is no run yet. Start one: movierec train"
    names = ("Run", "Kind", "Model", "Data set", "State", "Done", "Stage", "Started", "Version")
    rows = (
        (
            str(run.id), _kind(run), run.preset, Text(run.dataset_name), run.state,
            f"{run.progress:.0%}", Text("" if run.version else run.stage),
            moment(run.started_at or run.created_at), run.version or "",
        )
        for run in runs
    )  # fmt: skip
    return table("Runs", *names, right=("Run", "Done"), rows=rows)


def _kind(run: RunRecord) -> str:
    if run.kind == "evaluate":
        return f"evaluate {listed(run.request['versions'])}"
    return f"sweep {run.request['name']}" if run.kind == "sweep" else run.kind


def _shown(run: RunRecord, epochs: list[EpochRecord]) -> RenderableType:
    columns = ("Epoch", "Train loss", "Val. loss", "Val. RMSE", "Val. NDCG@10", "Seconds")
    drawn = table("Epochs", *columns, "", right=columns)
    for item in epochs:
        values = (item.train_loss, item.val_loss, item.val_rmse, item.val_ndcg_10)
        best = "best so far" if item.is_best else ""
        drawn.add_row(str(item.epoch), *map(number, values), number(item.seconds, 2), best)
    error = [Text(run.error)] if run.error else []
    return Group(_listed([run]), *error, *([drawn] if epochs else []))


def _follow(store: Store, run_id: int, console: Console) -> tuple[RunRecord, list[EpochRecord]]:
    """Draw a run until it ends; return it and its epochs as they are then."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            store.runs.mark_interrupted()
            run, epochs = store.runs.get(run_id), store.runs.epochs(run_id)
            if run.state not in ACTIVE_STATES:
                return run, epochs
            live.update(_drawn(run, epochs), refresh=True)
            time.sleep(POLL_SECONDS)


def _log_pieces(store: Store, run_id: int) -> Iterator[str]:
    """Yield what a run's process writes as it comes, until the run has ended."""
    read = 0
    while True:
        store.runs.mark_interrupted()
        run = store.runs.get(run_id)
        path = Path(run.log_path)
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as log:
                log.seek(read)
                yield log.read()
                read = log.tell()
        if run.state not in ACTIVE_STATES:
            return
        time.sleep(POLL_SECONDS)


def sparkline(values: Sequence[float]) -> str:
    """Return the last values as blocks, the lowest the smallest; a blank where it is NaN."""
    shown = values[-WIDEST:]
    known = [value for value in shown if not math.isnan(value)]
    low, spread = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    return "".join(_block(value, low, spread) for value in shown)


def _block(value: float, low: float, spread: float) -> str:
    if math.isnan(value):
        return " "
    share = (value - low) / spread if spread else 0.0
    return BLOCKS[round(share * (len(BLOCKS) - 1))]


def _drawn(run: RunRecord, epochs: Sequence[EpochRecord]) -> RenderableType:
    state = run.stage or "starting" if run.state == "running" else "its process is starting"
    head = Text(f"Run {run.id}: {run.preset or run.kind} on {run.dataset_name}, {state}")
    bar = ProgressBar(total=1.0, completed=run.progress, width=40)
    if not epochs:
        return Group(head, bar)
    curve = sparkline([item.val_rmse for item in epochs])
    last = f" {number(epochs[-1].val_rmse)} after epoch {epochs[-1].epoch}"
    return Group(head, bar, Text("Validation RMSE ") + Text(curve, style="cyan") + Text(last))
