"""`movierec sweep` searches hyperparameters; `movierec sweeps` lists, shows and deletes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.options import (
    DatasetOption,
    DeviceOption,
    JsonOption,
    QueueOption,
    SetOption,
    YesOption,
    accept,
    confirm,
    given,
)
from movierec.cli.output import emit, moment, number, progress_bar, table
from movierec.cli.train import AddressOption, EngineOption, WorkersOption, hyperparameters_of
from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError
from movierec.folders import write_whole
from movierec.jobs import submit_sweep
from movierec.jobs.foreground import QueuedHere, queue_sweep, sweep_run, take_up
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.settings import Settings, load_settings
from movierec.store import RunRecord

if TYPE_CHECKING:
    from movierec.sweeps.records import SweepRecord
    from movierec.sweeps.request import SweepRequest

__all__ = ["app", "sweep"]

SHOWN = 10
_RIGHT = ("RMSE", "NDCG@10", "Epochs", "Seconds")
_COLUMNS = ("Trial", "State", *_RIGHT, "With")

app = typer.Typer(name="sweeps", help="List, show, export and delete sweeps.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the sweep.")]

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


@accept(SplitSpec, SageHyperparameters)
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
    dataset: DatasetOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every training; default: 0.")] = None,
    device: DeviceOption = None,
    engine: EngineOption = "local",
    workers: WorkersOption = 1,
    address: AddressOption = None,
    prune: Annotated[
        bool, typer.Option(help="Stop trials that lag behind the others at the same epoch.")
    ] = True,
    resume: Annotated[
        int | None, typer.Option(help="Do the trials that are missing of this run.")
    ] = None,
    queue: QueueOption = False,
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
        "split": given(fields, SplitSpec),
        "hyperparameters": hyperparameters_of(fields, settings_of_baseline),
    }
    identity = {
        "training": {key: value for key, value in training.items() if value not in (None, {})},
        "search": tuple(search or ()),
        "metric": metric,
    }
    engine_fields = {"name": engine, "workers": workers, "address": address}
    options = {"name": name, "trials": trials, "prune": prune, "engine": engine_fields}
    settings = load_settings()
    if resume is not None:
        _require_alone(resume, identity, options)
        run = take_up(settings, resume, "sweep")
    else:
        request = _request(settings, identity, options, device)
        if queue:
            waiting = submit_sweep(settings, **request.model_dump(mode="json"))
            emit(as_json, waiting, lambda: _queued(waiting))
            return
        run = queue_sweep(settings, request)
    record = _with_progress(settings, run)
    emit(as_json, record, lambda: _drawn(record, SHOWN))


def _require_alone(run_id: int, identity: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    here = {"name": "local", "workers": 1, "address": None}
    usual = {"name": None, "trials": TRIALS, "prune": True, "engine": here}
    if any(identity.values()) or options != usual:
        raise HyperparameterError(
            "--resume goes on with a run as it was started; other options have no place beside it.",
            hint=f"Use `movierec sweep --resume {run_id}` alone.",
        )


def _queued(run: RunRecord) -> str:
    return f"Run {run.id}, the sweep {run.request['name']}, waits in the queue."


def _request(
    settings: Settings, identity: Mapping[str, Any], options: Mapping[str, Any], device: str | None
) -> SweepRequest:
    """Return the sweep's request; a name alone stands for what its sweep was started with."""
    from movierec.sweeps.identity import stored_request
    from movierec.sweeps.request import SweepRequest

    if options["name"] is not None and not any(identity.values()):
        stored = stored_request(settings, options["name"])
        if stored is not None:
            return SweepRequest.of(**{**stored.model_dump(), **options}).on(device)
    return SweepRequest.of(**identity, **options).on(device)


def _with_progress(settings: Settings, run: QueuedHere) -> SweepRecord:
    stopped = f"Stopped. Do the missing trials with `movierec sweep --resume {run.id}`."
    with progress_bar(f"Run {run.id}, sweep {run.record.request['name']}", stopped) as report:
        return sweep_run(settings, run.id, prepared=run.prepared, on_progress=report)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all sweeps, newest first."""
    from movierec.sweeps.report import sweep_records

    records = sweep_records(load_settings())
    emit(as_json, records, lambda: _listed(records))


@app.command()
def show(
    name: NameArgument,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with pictures to this file.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table in Markdown to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a sweep's trials, the best first, what mattered, and how to train the best."""
    from movierec.sweeps.export import html_page, markdown_table
    from movierec.sweeps.report import sweep_record

    settings = load_settings()
    record = sweep_record(settings, name, importance=True)
    if html is not None:
        write_whole(html, html_page(settings, record))
    if markdown is not None:
        write_whole(markdown, markdown_table(record))
    emit(as_json, record, lambda: _drawn(record, len(record.trials)))


@app.command()
def delete(name: NameArgument, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Delete a sweep with its trials; versions that were trained from it stay."""
    from movierec.sweeps.report import sweep_record
    from movierec.sweeps.storage import SweepStore

    settings = load_settings()
    trials = len(sweep_record(settings, name).trials)
    confirm(f"Delete {name} and its {trials} trials?", yes=yes)
    SweepStore(settings).delete(name)
    emit(as_json, {"deleted": name, "trials": trials}, lambda: f"{name} is deleted.")


def _drawn(record: SweepRecord, most: int) -> RenderableType:
    """Return a sweep for the terminal: its `most` best trials, what mattered, the command."""
    from movierec.sweeps.export import cells, importance_line, point, sentence

    shown = record.trials[:most]
    rows = (map(Text, (*cells(trial), point(record, trial))) for trial in shown)
    trials = table(f"Sweep {record.name}", *_COLUMNS, right=_RIGHT, rows=rows)
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
    rows = (
        (
            record.name, record.preset, Text(record.dataset), record.split, record.metric,
            str(len(record.trials)), number(record.best.value if record.best else None),
            moment(record.created_at),
        )
        for record in records
    )  # fmt: skip
    return table("Sweeps", *names, right=right, rows=rows)
