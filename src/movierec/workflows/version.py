"""From a fitted model to a version: what is measured, what metadata.json says, what is stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import Split
from movierec.evaluation import Evaluation
from movierec.models.protocol import Arrays, Recommender
from movierec.registry import VersionDraft
from movierec.registry.files import Content
from movierec.runtime import git_state, library_versions, peak_memory_mb
from movierec.settings import Settings
from movierec.training.callbacks import EpochResult, Hook
from movierec.training.options import TrainingOptions
from movierec.workflows.requests import TrainRequest

if TYPE_CHECKING:
    from movierec.training.fit import EnsembleFit

__all__ = ["Engine", "Fitted", "Training", "version_draft", "version_metadata"]


class Engine(Protocol):
    """Does the steps of a GraphSAGE's training; the result is the same wherever that is."""

    def device(self, name: str) -> str:
        """Return the device meant by a name such as auto.

        Raises:
            SettingsError: there is no such device.

        """

    def fit(self, training: Training, *, hooks: Sequence[Hook], resume: bool) -> EnsembleFit:
        """Fit all models of a version."""


@dataclass(frozen=True, eq=False)
class Training:
    """A training that is ready to start; `engine` None is this process.

    `seconds` is the wall time of the stages before the fit.
    """

    request: TrainRequest
    dataset: Dataset
    split: Split
    options: TrainingOptions
    engine: Engine | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """A fitted model and everything a version keeps of how it came to be."""

    kind: str
    recommender: Recommender
    hyperparameters: dict[str, Any]
    parameters: int
    device: str = "cpu"
    history: Sequence[EpochResult] = ()
    best_epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def version_draft(training: Training, fitted: Fitted, evaluation: Evaluation) -> VersionDraft:
    """Return a version with all files but its metadata."""
    frames: dict[str, Content] = {
        "per_user.parquet": evaluation.per_user.to_parquet,
        "per_rating.parquet": evaluation.per_rating.to_parquet,
    }
    return VersionDraft(
        model=fitted.kind,
        preset=training.request.preset,
        dataset_name=training.dataset.name,
        fingerprint=training.dataset.fingerprint,
        split_label=training.split.spec.label,
        files={**fitted.files, **frames},
        arrays=_serving_arrays(training, fitted),
        parameters=fitted.parameters,
        make_current=training.request.make_current,
    )


def _serving_arrays(training: Training, fitted: Fitted) -> Arrays:
    """Return the model's arrays with the support part in its graph, as when it was evaluated.

    A GraphSAGE's serving form has no graph any more, so it cannot take in ratings later.
    """
    support = training.dataset.ratings.take(training.split.support)
    return fitted.recommender.with_interactions(support).arrays()


def version_metadata(training: Training, fitted: Fitted, settings: Settings) -> dict[str, Any]:
    """Return the first report's fields of `metadata.json` and those beyond them."""
    request = training.request
    return {
        "training_date": datetime.now(UTC).isoformat(),
        "num_parameters": fitted.parameters,
        "hyperparameters": fitted.hyperparameters,
        "metrics": dict(fitted.metrics),
        "metrics_protocol": "validation part; ranking over all movies but the user's train ones, "
        "every held-out rating counts",
        "final_train_loss": fitted.metrics["final_train_loss"],
        "best_val_loss": fitted.metrics["best_val_loss"],
        "epochs_trained": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "training_history": [item.as_dict() for item in fitted.history],
        **fitted.facts,
        **_data_facts(training.dataset, training.split),
        "seed": request.seed,
        "device": fitted.device,
        **request.engine.facts,
        "threads": settings.threads or os.cpu_count(),
        "database_path": _database_path(settings),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "libraries": library_versions(),
        "git": git_state(settings.home),
    }


def _data_facts(dataset: Dataset, split: Split) -> dict[str, Any]:
    return {
        "num_users_trained": int(np.count_nonzero(np.bincount(dataset.ratings.user[split.train]))),
        "num_movies": dataset.n_movies,
        "num_ratings": dataset.n_ratings,
        "data_source": dataset.source,
        "data_fingerprint": dataset.fingerprint,
        "user_ids_sha256": dataset.users.sha256,
        "movie_ids_sha256": dataset.movies.sha256,
        "split": split.spec.model_dump(),
        "split_test_sha256": split.sha256,
    }


def _database_path(settings: Settings) -> str:
    """Return the SQLite file relative to the project, or the kind of server without its address."""
    path = settings.database_path
    if path is None:
        return settings.database.split(":", 1)[0]
    return str(path.relative_to(settings.home)) if path.is_relative_to(settings.home) else path.name
