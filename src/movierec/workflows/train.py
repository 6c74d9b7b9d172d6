"""Train a model, measure it once on the test part, keep it as a version."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.evaluation import Evaluation, evaluate
from movierec.registry import Registry, VersionDraft
from movierec.runtime import git_state, library_versions, peak_memory_mb, pick_device, set_threads
from movierec.settings import Settings
from movierec.store import Store, VersionRecord, open_store
from movierec.training.config import Circumstances
from movierec.training.hooks import Hook
from movierec.workflows.fitting import Fitted, fit_model
from movierec.workflows.floors import measured_floors
from movierec.workflows.requests import TrainRequest

__all__ = ["train"]

Progress = Callable[[str, float], None]


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

    """
    request.check()
    tell, clock = on_progress or _silent, _Clock()
    circumstances = _circumstances(request, settings, run_id)
    set_threads(settings.threads)
    with open_store(settings) as store:
        tell("loading the data", 0.0)
        with clock.stage("load"):
            dataset = store.datasets.load(request.dataset)
        with clock.stage("split"):
            split = make_split(dataset, request.split)
        tell("training", 0.02)
        with clock.stage("fit"):
            fitted = fit_model(request, dataset, split, circumstances, hooks=hooks, resume=resume)
        tell("evaluating on the test part", 0.92)
        with clock.stage("evaluate"):
            evaluation = evaluate(fitted.recommender, dataset, split)
            floors = measured_floors(dataset, split, settings)
        tell("saving", 0.98)
        facts = _metadata(request, settings, dataset, split, fitted)
        measured = {"evaluation": evaluation.as_dict(), "floors": floors}
        record = _save(
            store, settings, request, dataset, split, fitted, evaluation, run_id,
            {**facts, **measured, "slices": evaluation.slice_rows()}, clock,
        )  # fmt: skip
    _forget_checkpoint(circumstances.checkpoint)
    tell("saved", 1.0)
    return record


def _silent(stage: str, done: float) -> None:
    """Report progress to nobody."""


def _circumstances(request: TrainRequest, settings: Settings, run_id: int | None) -> Circumstances:
    device = pick_device(request.device or settings.device)
    folder = None if run_id is None else settings.runs_path / str(run_id)
    checkpoint = None if folder is None else folder / "checkpoint.pt"
    return Circumstances(device=str(device), seed=request.seed, checkpoint=checkpoint)


def _forget_checkpoint(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def _save(
    store: Store,
    settings: Settings,
    request: TrainRequest,
    dataset: Dataset,
    split: Split,
    fitted: Fitted,
    evaluation: Evaluation,
    run_id: int | None,
    metadata: Mapping[str, Any],
    clock: _Clock,
) -> VersionRecord:
    frames = {
        "per_user.parquet": evaluation.per_user.to_parquet,
        "per_rating.parquet": evaluation.per_rating.to_parquet,
    }
    with clock.stage("export"):
        told = dataset.ratings.take(split.support)  # as it was when it was evaluated
        arrays = fitted.recommender.observe(told).arrays()
    draft = VersionDraft(
        model=fitted.kind,
        preset=request.preset,
        dataset_name=dataset.name,
        fingerprint=dataset.fingerprint,
        split_label=split.spec.label,
        metadata={**metadata, "durations": clock.with_total()},
        files={**fitted.files, **frames},
        arrays=arrays,
        run_id=run_id,
        parameters=fitted.parameters,
        make_current=request.make_current,
    )
    return Registry(settings, store).save(draft)


def _metadata(
    request: TrainRequest, settings: Settings, dataset: Dataset, split: Split, fitted: Fitted
) -> dict[str, Any]:
    """Return the first report's fields of `metadata.json` and those beyond them."""
    return {
        "training_date": datetime.now(UTC).isoformat(),
        "num_users_trained": len(set(dataset.ratings.user[split.train].tolist())),
        "num_movies": dataset.n_movies,
        "num_ratings": dataset.n_ratings,
        "num_parameters": fitted.parameters,
        "hyperparameters": fitted.hyperparameters,
        "metrics": dict(fitted.metrics),
        "metrics_protocol": "validation part; ranking over all movies but the user's train ones, "
        "every held-out rating counts",
        "epochs_trained": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "training_history": [item.as_dict() for item in fitted.history],
        **fitted.facts,
        "seed": request.seed,
        "device": fitted.device,
        "threads": settings.threads or os.cpu_count(),
        "database_path": _database_path(settings),
        "data_source": dataset.source,
        "data_fingerprint": dataset.fingerprint,
        "user_ids_sha256": dataset.users.sha256,
        "movie_ids_sha256": dataset.movies.sha256,
        "split": split.spec.model_dump(),
        "split_test_sha256": split.sha256,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "libraries": library_versions(),
        "git": git_state(settings.home),
    }


def _database_path(settings: Settings) -> str:
    """Return the SQLite file relative to the project, or the kind of server without its address."""
    path = settings.database_path
    if path is None:
        return settings.database.split(":", 1)[0]
    return str(path.relative_to(settings.home)) if path.is_relative_to(settings.home) else path.name


def remove_run_folder(settings: Settings, run_id: int) -> None:
    """Delete a run's checkpoint and log."""
    shutil.rmtree(settings.runs_path / str(run_id), ignore_errors=True)
