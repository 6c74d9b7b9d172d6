"""`movierec sweep`: search hyperparameters on the validation part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from movierec.cli.options import AddressOption, EngineOption, WorkersOption, accept, given
from movierec.cli.output import JsonOption, console, emit, progress_bar
from movierec.cli.sweeps import drawn
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

__all__ = ["sweep"]

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
