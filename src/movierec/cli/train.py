"""`movierec train`: train a model and keep it as a version."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.options import accept, given
from movierec.cli.output import JsonOption, console, emit, progress_bar
from movierec.cli.summary import headline, metrics_table
from movierec.data.splits import SplitSpec
from movierec.errors import TrainingError
from movierec.models.hyperparameters import SageHyperparameters
from movierec.settings import Settings, load_settings
from movierec.store import RunRecord, VersionRecord, open_store

__all__ = ["ALIASES", "RENAMED", "train", "train_here"]

# two models have a seed; the split's name is the option's own
RENAMED = {"name": "split", "seed": "split_seed"}
ALIASES = {"learning_rate": "--lr"}


@accept(SplitSpec, SageHyperparameters, renamed=RENAMED, aliases=ALIASES)
def train(
    preset: Annotated[
        str, typer.Option(help="default, report, or a baseline: mean, biases, popular, …")
    ] = "default",
    dataset: Annotated[str | None, typer.Option(help="Data set; default: the newest.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, dropout and batches.")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    current: Annotated[
        bool | None, typer.Option(help="Make it the current version; default: if there is none.")
    ] = None,
    resume: Annotated[
        int | None, typer.Option(help="Go on with this interrupted run; other options are its own.")
    ] = None,
    as_json: JsonOption = False,
    **fields: Any,
) -> None:
    """Train a model, measure it once on the test part, and keep it as a version.

    Ctrl-C stops cleanly and keeps the checkpoint of the last epoch. Hyperparameters that are
    not given are the preset's.
    """
    settings = load_settings()
    request = {
        "preset": preset,
        "dataset": dataset,
        "seed": seed,
        "device": device,
        "make_current": current,
        "split": given(fields, SplitSpec, RENAMED),
        "hyperparameters": given(fields, SageHyperparameters, {}),
    }
    record = train_here(settings, request, resume=resume)
    emit(as_json, record, lambda: _drawn(record))


def train_here(
    settings: Settings, request: dict[str, Any], *, resume: int | None = None
) -> VersionRecord:
    """Do a training in this process, as a run like any other, behind a progress bar.

    Raises:
        MovierecError: what made the run fail.

    """
    from movierec.jobs.execute import execute
    from movierec.workflows.requests import TrainRequest

    run_id = resume
    if run_id is None:
        checked = TrainRequest.of(**request)
        with open_store(settings) as store:
            name = store.datasets.get(checked.dataset).name
            fields = checked.model_copy(update={"dataset": name}).model_dump(mode="json")
            run_id = store.runs.add(
                "train", preset=checked.preset, dataset_name=name, request=fields
            ).id
    try:
        with progress_bar(f"Run {run_id}") as tell:
            run = execute(settings, run_id, on_progress=tell, resume=resume is not None)
    except KeyboardInterrupt:
        hint = f"Go on with `movierec train --resume {run_id}`."
        console(stderr=True).print(f"Stopped; the last epoch's checkpoint is kept. {hint}")
        raise
    return _version_of(settings, run)


def _version_of(settings: Settings, run: RunRecord) -> VersionRecord:
    if run.version is None:
        raise TrainingError(f"Run {run.id} {run.state}: {run.error}")
    with open_store(settings) as store:
        return store.versions.get(run.version)


def _drawn(record: VersionRecord) -> RenderableType:
    return Group(Text(headline(record)), metrics_table(record))
