"""Train a model, measure it once on the test part, keep it as a version."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from movierec.cluster.cluster import device_of_workers
from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.evaluation import evaluate
from movierec.models.protocol import Arrays
from movierec.progress import Progress, silent
from movierec.registry import Registry, VersionDraft
from movierec.registry.files import Content
from movierec.runtime import git_state, library_versions, peak_memory_mb, pick_device, set_threads
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.training.callbacks import Hook
from movierec.training.options import TrainingOptions
from movierec.workflows.baselines import measured_floors
from movierec.workflows.engines import require_ray
from movierec.workflows.fit import Fitted, Fitter, fit_model
from movierec.workflows.requests import TrainRequest

__all__ = ["prepared", "train", "training_options"]


class _Clock:
    """Seconds of wall time per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)

    def with_total(self) -> dict[str, float]:
        return {**self.seconds, "total": round(sum(self.seconds.values()), 3)}


def prepared(request: TrainRequest, settings: Settings) -> TrainRequest:
    """Return the request with its data set named, once data, split and device allow it.

    Raises:
        NotFoundError: there is no such data set.
        HyperparameterError, SplitError: the request asks for what cannot be.
        SettingsError: this machine has no such device.

    """
    request.check()
    if request.engine.is_ray:
        require_ray()
    _device(request, settings)
    with open_store(settings) as store:
        dataset = store.datasets.load(request.dataset)
    make_split(dataset, request.split)
    return request.model_copy(update={"dataset": dataset.name})


def train(
    request: TrainRequest,
    settings: Settings,
    *,
    hooks: Sequence[Hook] = (),
    on_progress: Progress | None = None,
    run_id: int | None = None,
    resume: bool = False,
) -> VersionRecord:
    """Load, split, fit, evaluate once on the test part, and save a version.

    With a run's id, a checkpoint is kept in the run's folder while training; `resume` goes on
    from it.

    Raises:
        NotFoundError: there is no such data set.
        HyperparameterError, SplitError: the request asks for what cannot be.
        TrainingError: training cannot go on; the checkpoint of the last epoch stays.
        ArtifactError: no version can be kept; told before the training where it is known.

    """
    request.check()
    tell, clock = on_progress or silent, _Clock()
    options = training_options(request, settings, run_id)
    if not resume:
        options.forget_checkpoints()  # of a run in a database that is gone
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.require_writable()
        tell("loading the data", 0.0)
        with clock.stage("load"):
            dataset = store.datasets.load(request.dataset)
        with clock.stage("split"):
            split = make_split(dataset, request.split)
        tell("training", 0.02)
        with clock.stage("fit"):
            fitted = fit_model(
                request, dataset, split, options, hooks=hooks, resume=resume,
                fitter=_fitter(request, settings),
            )  # fmt: skip
        tell("evaluating on the test part", 0.92)
        trained = _Trained(request, settings, dataset, split, fitted)
        with clock.stage("evaluate"):
            measured, frames = _measured(trained)
        tell("saving", 0.98)
        with clock.stage("export"):
            arrays = _serving_arrays(trained)
        facts = {**_metadata(trained), **measured, "durations": clock.with_total()}
        record = registry.save(_draft(trained, facts, frames, arrays, run_id))
    options.forget_checkpoints()
    tell("saved", 1.0)
    return record


@dataclass(frozen=True, eq=False)
class _Trained:
    """A request and what came of it."""

    request: TrainRequest
    settings: Settings
    dataset: Dataset
    split: Split
    fitted: Fitted


def training_options(
    request: TrainRequest, settings: Settings, run_id: int | None = None
) -> TrainingOptions:
    """Return where and how a request is to be trained; with a run's id, with its checkpoint."""
    checkpoint = None if run_id is None else settings.runs_path / str(run_id) / "checkpoint.pt"
    return TrainingOptions(
        device=_device(request, settings), seed=request.seed, checkpoint=checkpoint
    )


def _device(request: TrainRequest, settings: Settings) -> str:
    """Return the device to train on; baselines know only the CPU and need no torch."""
    if not request.is_graphsage:
        return "cpu"
    set_threads(settings.threads)
    name = request.device or settings.device
    if request.engine.is_ray:
        return device_of_workers(request.engine, name)
    return str(pick_device(name))


def _fitter(request: TrainRequest, settings: Settings) -> Fitter | None:
    """Return what does the steps elsewhere; None: this process does."""
    if not request.engine.is_ray:
        return None
    from movierec.cluster.train import fit_on_ray

    return partial(fit_on_ray, settings)


def _measured(trained: _Trained) -> tuple[dict[str, Any], dict[str, Content]]:
    """Return what metadata.json says of the test part, and the frames kept as files."""
    dataset, split = trained.dataset, trained.split
    found = evaluate(trained.fitted.recommender, dataset, split)
    facts = {
        "evaluation": found.as_dict(),
        "slices": found.slice_rows(),
        "reliability": found.reliability_rows(),
        "floors": measured_floors(dataset, split, trained.settings),
    }
    frames: dict[str, Content] = {
        "per_user.parquet": found.per_user.to_parquet,
        "per_rating.parquet": found.per_rating.to_parquet,
    }
    return facts, frames


def _serving_arrays(trained: _Trained) -> Arrays:
    """Return the model's arrays, told of the support part as when it was evaluated.

    A GraphSAGE's serving form cannot be told later: it has no graph any more.
    """
    told = trained.dataset.ratings.take(trained.split.support)
    return trained.fitted.recommender.with_interactions(told).arrays()


def _draft(
    trained: _Trained,
    facts: Mapping[str, Any],
    frames: Mapping[str, Content],
    arrays: Arrays,
    run_id: int | None,
) -> VersionDraft:
    request, fitted = trained.request, trained.fitted
    return VersionDraft(
        model=fitted.kind,
        preset=request.preset,
        dataset_name=trained.dataset.name,
        fingerprint=trained.dataset.fingerprint,
        split_label=trained.split.spec.label,
        metadata=facts,
        files={**fitted.files, **frames},
        arrays=arrays,
        run_id=run_id,
        parameters=fitted.parameters,
        make_current=request.make_current,
    )


def _metadata(trained: _Trained) -> dict[str, Any]:
    """Return the first report's fields of `metadata.json` and those beyond them."""
    request, settings, fitted = trained.request, trained.settings, trained.fitted
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
        **_data_facts(trained),
        "seed": request.seed,
        "device": fitted.device,
        **request.engine.facts,
        "threads": settings.threads or os.cpu_count(),
        "database_path": _database_path(settings),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "libraries": library_versions(),
        "git": git_state(settings.home),
    }


def _data_facts(trained: _Trained) -> dict[str, Any]:
    dataset, split = trained.dataset, trained.split
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
