"""movierec as a library: the same workflows, with the project's database and versions.

>>> from movierec import load_dataset, load_version, train  # doctest: +SKIP
>>> version = train(load_dataset("ml-100k"), preset="default", split="u1")  # doctest: +SKIP
>>> load_version(version.name).recommend("196", k=5)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from movierec.data.dataset import Dataset
from movierec.data.splits import SplitName, SplitSpec
from movierec.errors import NotFoundError
from movierec.inference import LoadedVersion
from movierec.inference import load_version as _load_version
from movierec.settings import Settings, load_settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.data import fetch_and_import
from movierec.workflows.data import load_dataset as _load_dataset

if TYPE_CHECKING:
    from movierec.training.callbacks import Hook

__all__ = ["load_dataset", "load_version", "train"]

FETCHABLE = ("ml-100k",)


def load_dataset(name: str | None = None, *, settings: Settings | None = None) -> Dataset:
    """Return a data set from the database; "ml-100k" is fetched when it is not there yet.

    Raises:
        NotFoundError: there is no such data set; without a name, none at all.
        SourceError: MovieLens 100K cannot be obtained.

    """
    settings = settings or load_settings()
    if name in FETCHABLE and not _is_there(name, settings):
        fetch_and_import(settings, name)
    return _load_dataset(name, settings)


def train(
    dataset: Dataset | str | None = None,
    *,
    preset: str = "default",
    split: SplitSpec | SplitName = "random",
    seed: int = 0,
    device: str | None = None,
    members: int = 1,
    refit: bool = False,
    make_current: bool | None = None,
    hooks: Sequence[Hook] = (),
    settings: Settings | None = None,
    **hyperparameters: Any,
) -> VersionRecord:
    """Train a model, measure it once on the test part and keep it as a version.

    `dataset` is one from the database, or its name; `preset` is "default", "report" or a
    baseline; `hyperparameters` are what differs from the preset. `members` models of different
    seeds are averaged; `refit` trains again, for as many steps as were best, on the train and
    validation part together. It is a run like any other:
    Ctrl-C keeps the last epoch's checkpoint, and `movierec train --resume` goes on from it.

    Raises:
        HyperparameterError, SplitError: a preset, split or hyperparameter that cannot be used.
        NotFoundError: there is no such data set in the database.
        TrainingError: training cannot go on.

    """
    from movierec.jobs.foreground import queue_train, train_run
    from movierec.workflows.requests import TrainRequest

    settings = settings or load_settings()
    request = TrainRequest.of(
        preset=preset,
        dataset=_stored_name(dataset, settings) if isinstance(dataset, Dataset) else dataset,
        split={"name": split} if isinstance(split, str) else split,
        seed=seed,
        device=device,
        members=members,
        refit=refit,
        make_current=make_current,
        hyperparameters=hyperparameters,
    )
    run = queue_train(settings, request)
    return train_run(settings, run.id, prepared=run.prepared, hooks=hooks)


def load_version(name: str = "current", *, settings: Settings | None = None) -> LoadedVersion:
    """Return a version ready to answer; needs no torch.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: its files or its data changed.

    """
    return _load_version(name, settings)


def _stored_name(dataset: Dataset, settings: Settings) -> str:
    with open_store(settings) as store:
        record = store.datasets.find(dataset.fingerprint)
    if record is None:
        raise NotFoundError(
            f"The data set {dataset.name!r} is not in the database.",
            hint="Import its files first: `movierec data import PATH`.",
        )
    return record.name


def _is_there(name: str, settings: Settings) -> bool:
    with open_store(settings) as store:
        return any(record.name == name for record in store.datasets.list())
