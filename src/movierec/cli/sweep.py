"""`movierec sweep` searches hyperparameters; `movierec sweeps` lists, shows and deletes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.options import AddressOption, EngineOption, WorkersOption, accept, given
from movierec.cli.output import JsonOption, console, emit, number, progress_bar, table
from movierec.cli.train import ALIASES, RENAMED, SetOption, hyperparameters_of
from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError
from movierec.jobs import submit_sweep
from movierec.jobs.foreground import QueuedHere, queue_sweep, sweep_run, take_up
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.settings import Settings, load_settings
from movierec.store import RunRecord

if TYPE_CHECKING:
    from movierec.sweeps.records import SweepRecord
    from movierec.sweeps.request import SweepRequest

__all__ = [
    "app",
    "drawn",
    "sweep",
]

SHOWN = 10
_RIGHT = ("RMSE", "NDCG@10", "Epochs", "Seconds")
_COLUMNS = ("Trial", "State", *_RIGHT, "With")

app = typer.Typer(name="sweeps", help="List, show, export and delete sweeps.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the sweep.")]


TRIALS = 20
SearchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="NAME[=VALUES]",
        help="What to vary: NAME, NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,C; repeatable. "
        "Default: what usually matters for the preset.",
    ),
]


@accept(SplitSpec, SageHyperparameters, renamed=RENAMED, aliases=ALIASES)
def sweep(
    preset: Annotated[
        str | None, typer.Option(help="default, report, or a baseline; default: default.")
    ] = None,
    search: SearchOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials to add.")] = TRIALS,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the sweep; one that exists goes on. Default: a new one."),
    ] = None,
    metric: Annotated[
        Literal["val_rmse", "val_ndcg_10"] | None,
        typer.Option(help="What is best; default: what the preset is there for."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set; default: the newest.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every training; default: 0.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    engine: EngineOption = "local",
    workers: WorkersOption = 1,
    address: AddressOption = None,
    prune: Annotated[
        bool, typer.Option(help="Stop trials that lag behind the others at the same epoch.")
    ] = True,
    resume: Annotated[
        int | None, typer.Option(help="Do the trials that are missing of this run.")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to the worker, like the dashboard does.")
    ] = False,
    settings_of_baseline: SetOption = None,
    as_json: JsonOption = False,
    **fields: Any,
) -> None:
    """Search hyperparameters by what the validation part says; the test part stays closed.

    Hyperparameters given as options are the same in all trials. Every trial is stored as it
    ends: after Ctrl-C or a crash, `--resume` does the trials that are missing, and `--name`
    alone adds trials to the sweep as it was started.
    """
    training = {
        "preset": preset,
        "dataset": dataset,
        "seed": seed,
        "split": given(fields, SplitSpec, RENAMED),
        "hyperparameters": hyperparameters_of(fields, settings_of_baseline),
    }
    asked = {
        "training": {key: value for key, value in training.items() if value not in (None, {})},
        "search": tuple(search or ()),
        "metric": metric,
    }
    where = {"name": engine, "workers": workers, "address": address}
    now = {"name": name, "trials": trials, "prune": prune, "engine": where}
    settings = load_settings()
    if resume is not None:
        _require_alone(resume, asked, now)
        run = take_up(settings, resume, "sweep")
    else:
        request = _request(settings, asked, now, device)
        if queue:
            waiting = submit_sweep(settings, **request.model_dump(mode="json"))
            emit(as_json, waiting, lambda: _queued(waiting))
            return
        run = queue_sweep(settings, request)
    record = _behind_bar(settings, run)
    emit(as_json, record, lambda: drawn(record))


def _require_alone(run_id: int, asked: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    here = {"name": "local", "workers": 1, "address": None}
    usual = {"name": None, "trials": TRIALS, "prune": True, "engine": here}
    if any(asked.values()) or now != usual:
        raise HyperparameterError(
            "--resume goes on with a run as it was started; other options have no place beside it.",
            hint=f"Use `movierec sweep --resume {run_id}` alone.",
        )


def _queued(run: RunRecord) -> str:
    return f"Run {run.id}, the sweep {run.request['name']}, waits in the queue."


def _request(
    settings: Settings, asked: Mapping[str, Any], now: Mapping[str, Any], device: str | None
) -> SweepRequest:
    """Return what is asked for; a name alone asks for what its sweep was started with."""
    from movierec.sweeps.identity import stored_request
    from movierec.sweeps.request import SweepRequest

    if now["name"] is not None and not any(asked.values()):
        stored = stored_request(settings, now["name"])
        if stored is not None:
            return SweepRequest.of(**{**stored.model_dump(), **now}).on(device)
    return SweepRequest.of(**asked, **now).on(device)


def _behind_bar(settings: Settings, run: QueuedHere) -> SweepRecord:
    try:
        with progress_bar(f"Run {run.id}, sweep {run.record.request['name']}") as tell:
            return sweep_run(settings, run.id, prepared=run.prepared, on_progress=tell)
    except KeyboardInterrupt:
        message = f"Stopped. Do the missing trials with `movierec sweep --resume {run.id}`."
        console(stderr=True).print(message, soft_wrap=True)
        raise


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
