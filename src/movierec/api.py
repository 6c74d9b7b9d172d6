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
from movierec.inference import LoadedVersion
from movierec.inference import load_version as _load_version
from movierec.settings import Settings, load_settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.data import fetch_and_import
from movierec.workflows.data import load_dataset as _load_dataset

if TYPE_CHECKING:
    from movierec.training.hooks import Hook

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
    make_current: bool | None = None,
    hooks: Sequence[Hook] = (),
    settings: Settings | None = None,
    **hyperparameters: Any,
) -> VersionRecord:
    """Train a model, measure it once on the test part and keep it as a version.

    `dataset` is one from the database, or its name; `preset` is "default", "report" or a
    baseline; `hyperparameters` are what differs from the preset.

    Raises:
        HyperparameterError: a preset, split or hyperparameter that cannot be used.
        NotFoundError: there is no such data set.
        TrainingError: training cannot go on.

    """
    from movierec.workflows.requests import TrainRequest
    from movierec.workflows.train import train as train_version

    request = TrainRequest.of(
        preset=preset,
        dataset=dataset.name if isinstance(dataset, Dataset) else dataset,
        split={"name": split} if isinstance(split, str) else split,
        seed=seed,
        device=device,
        make_current=make_current,
        hyperparameters=hyperparameters,
    )
    return train_version(request, settings or load_settings(), hooks=hooks)


def load_version(name: str = "current", *, settings: Settings | None = None) -> LoadedVersion:
    """Return a version ready to answer; needs no torch.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: its files or its data changed.

    """
    return _load_version(name, settings)


def _is_there(name: str, settings: Settings) -> bool:
    with open_store(settings) as store:
        return any(record.name == name for record in store.datasets.list())
