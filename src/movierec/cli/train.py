"""`movierec train`: train a model and keep it as a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from movierec.cli.options import (
    DatasetOption,
    DeviceOption,
    JsonOption,
    QueueOption,
    SetOption,
    accept,
    assignment,
    given,
)
from movierec.cli.output import emit, headline, metrics_table, progress_bar
from movierec.cli.versions.transfer import warn_if_not_pushed
from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError
from movierec.jobs import submit_train
from movierec.jobs.foreground import QueuedHere, queue_train, take_up, train_run
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.settings import Settings, load_settings
from movierec.store import VersionRecord
from movierec.workflows.requests import EngineName, TrainRequest

__all__ = [
    "AddressOption",
    "EngineOption",
    "WorkersOption",
    "hyperparameters_of",
    "train",
    "train_here",
]

EngineOption = Annotated[
    EngineName, typer.Option(help="Where it is worked on: in this process, or by workers on Ray.")
]
WorkersOption = Annotated[int, typer.Option(help="With --engine ray: how many work at a time.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="With --engine ray: a cluster; default: one started for the run."
    ),
]


@accept(SplitSpec, SageHyperparameters)
def train(
    preset: Annotated[
        str, typer.Option(help="default, report, or a baseline: mean, biases, popular, …")
    ] = "default",
    dataset: DatasetOption = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, dropout and batches.")] = 0,
    device: DeviceOption = None,
    engine: EngineOption = "local",
    workers: WorkersOption = 1,
    address: AddressOption = None,
    members: Annotated[
        int, typer.Option(help="Models of different seeds, averaged into one version.")
    ] = 1,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Then train as many steps on train and validation together."),
    ] = False,
    current: Annotated[
        bool | None, typer.Option(help="Make it the current version; default: if there is none.")
    ] = None,
    resume: Annotated[
        int | None, typer.Option(help="Go on with this run, which keeps its own options.")
    ] = None,
    queue: QueueOption = False,
    settings_of_baseline: SetOption = None,
    as_json: JsonOption = False,
    **fields: Any,
) -> None:
    """Train a model, measure it once on the test part, and keep it as a version.

    Ctrl-C stops cleanly and keeps the checkpoint of the last epoch. Hyperparameters that are
    not given are the preset's.
    """
    request: dict[str, Any] = {
        "preset": preset,
        "dataset": dataset,
        "seed": seed,
        "device": device,
        "engine": {"name": engine, "workers": workers, "address": address},
        "members": members,
        "refit": refit,
        "make_current": current,
        "split": given(fields, SplitSpec),
        "hyperparameters": hyperparameters_of(fields, settings_of_baseline),
    }
    settings = load_settings()
    if queue and resume is None:
        run = submit_train(settings, **request)
        emit(as_json, run, lambda: f"Run {run.id} waits in the queue.")
        return
    record = train_here(settings, request) if resume is None else _resume(settings, resume, request)
    warn_if_not_pushed(settings, record.name)
    emit(as_json, record, lambda: Group(Text(headline(record)), metrics_table(record)))


def hyperparameters_of(fields: Mapping[str, Any], assigned: Sequence[str] | None) -> dict[str, Any]:
    """Return the hyperparameters given by options of their own and by `--set NAME=VALUE`."""
    return given(fields, SageHyperparameters) | dict(map(assignment, assigned or ()))


def train_here(settings: Settings, request: Mapping[str, Any]) -> VersionRecord:
    """Train in this process, as a run like any other, behind a progress bar.

    Raises:
        MovierecError: it cannot start, or what made it fail.

    """
    return _with_progress(settings, queue_train(settings, TrainRequest.of(**request)))


def _resume(settings: Settings, run_id: int, request: Mapping[str, Any]) -> VersionRecord:
    if TrainRequest.of(**request) != TrainRequest():
        raise HyperparameterError(
            "--resume goes on with a run as it was started; other options have no place beside it.",
            hint=f"Use `movierec train --resume {run_id}` alone.",
        )
    return _with_progress(settings, take_up(settings, run_id))


def _with_progress(settings: Settings, run: QueuedHere) -> VersionRecord:
    stopped = f"Stopped. Go on from the last epoch with `movierec train --resume {run.id}`."
    with progress_bar(f"Run {run.id}", stopped) as report:
        return train_run(settings, run.id, prepared=run.prepared, on_progress=report)
