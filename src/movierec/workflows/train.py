"""Train a model, measure it once on the test part, keep it as a version."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec.data.splits import make_split
from movierec.evaluation import Evaluation, evaluate
from movierec.metadata import VersionMetadata
from movierec.models.factory import GRAPHSAGE, make_baseline
from movierec.models.graphsage.hyperparameters import SageHyperparameters, hyperparameters
from movierec.models.protocol import Recommender
from movierec.progress import Progress, silent
from movierec.registry import Registry
from movierec.runtime import Stopwatch, pick_device, set_threads
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.training.budget import graph_ratings
from movierec.training.callbacks import Hook
from movierec.training.options import TrainingOptions
from movierec.workflows.baselines import measured_baselines
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.validation import Validation, calibrate_on, choose_kernel
from movierec.workflows.version import (
    Engine,
    Fitted,
    Training,
    version_draft,
    version_metadata,
)

if TYPE_CHECKING:
    from movierec.training.callbacks import FitResult
    from movierec.training.distributed.group import Group
    from movierec.training.fit import EnsembleFit

__all__ = ["fit_here", "fit_model", "prepare", "train"]

# the first report's fields of `metadata.json`, and NDCG; a baseline has no validation part
METRICS = (
    "val_rmse", "val_mae", "val_precision_10", "val_recall_10", "val_ndcg_10",
    "final_train_loss", "best_val_loss",
)  # fmt: skip
NOT_LEARNT = frozenset({"scale", "slope", "rating", "numbers"})  # arrays that are no weights


def prepare(request: TrainRequest, settings: Settings, engine: Engine | None = None) -> Training:
    """Return a training with its data loaded and split, on a device that this machine has.

    Raises:
        NotFoundError: there is no such data set.
        SplitError: the data cannot be split so.
        SettingsError: there is no such device.

    """
    device, watch = _device(request, settings, engine), Stopwatch()
    with open_store(settings) as store, watch.stage("load"):
        dataset = store.datasets.load(request.dataset)
    with watch.stage("split"):
        split = make_split(dataset, request.split)
    return Training(
        request.model_copy(update={"dataset": dataset.name}),
        dataset,
        split,
        TrainingOptions(device=device, seed=request.seed),
        engine,
        watch.seconds,
    )


def _device(request: TrainRequest, settings: Settings, engine: Engine | None) -> str:
    """Return the device to train on; baselines know only the CPU and need no torch."""
    if not request.is_graphsage:
        return "cpu"
    set_threads(settings.threads)
    name = request.device or settings.device
    return str(pick_device(name)) if engine is None else engine.device(name)


def train(
    training: Training,
    settings: Settings,
    *,
    hooks: Sequence[Hook] = (),
    on_progress: Progress | None = None,
    run_id: int | None = None,
    resume: bool = False,
) -> VersionRecord:
    """Fit, evaluate once on the test part, and save a version.

    `resume` continues from the checkpoint that the options name; it is deleted once the version
    is saved.

    Raises:
        TrainingError: training cannot continue; the checkpoint of the last epoch stays.
        ArtifactError: no version can be saved; raised before the training where that is known.

    """
    tell, watch = on_progress or silent, Stopwatch(training.seconds)
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.require_writable()
        tell("training", 0.02)
        with watch.stage("fit"):
            fitted = fit_model(training, hooks=hooks, resume=resume)
        tell("evaluating on the test part", 0.92)
        with watch.stage("evaluate"):
            found = evaluate(fitted.recommender, training.dataset, training.split)
            measured = _measured(training, found, settings)
        tell("saving", 0.98)
        with watch.stage("export"):
            draft = version_draft(training, fitted, found)
        facts = {
            **version_metadata(training, fitted, settings),
            **measured,
            "durations": {**watch.seconds, "total": watch.total},
        }
        record = registry.save(replace(draft, metadata=VersionMetadata.of(facts), run_id=run_id))
    training.options.forget_checkpoints()
    tell("saved", 1.0)
    return record


def _measured(training: Training, found: Evaluation, settings: Settings) -> dict[str, Any]:
    """Return what metadata.json says of the test part."""
    return {
        "evaluation": found.as_dict(),
        "slices": found.slice_rows(),
        "reliability": found.reliability_rows(),
        "floors": measured_baselines(training.dataset, training.split, settings),
    }


def fit_model(training: Training, *, hooks: Sequence[Hook] = (), resume: bool = False) -> Fitted:
    """Fit the model a request asks for; the test part stays closed.

    A GraphSAGE learns from the train part, lets the validation part pick the epoch, and then
    has both in its graph; with a refit it learns again from both. A baseline, which picks
    nothing, learns from both.
    """
    if training.request.is_graphsage:
        return _fit_graphsage(training, hooks, resume=resume)
    return _fit_baseline(training)


def _fit_baseline(training: Training) -> Fitted:
    request, dataset = training.request, training.dataset
    model = make_baseline(request.preset, request.hyperparameters)
    recommender = model.fit(
        dataset, dataset.ratings.take(training.split.learnable), seed=request.seed
    )
    return Fitted(
        kind=request.preset,
        recommender=recommender,
        hyperparameters=full_hyperparameters(request),
        parameters=_count(recommender),
        metrics=dict.fromkeys(METRICS, math.nan),
    )


def _fit_graphsage(training: Training, hooks: Sequence[Hook], *, resume: bool) -> Fitted:
    dataset, split, config = training.dataset, training.split, _config(training)
    # before any part is taken here: it has parts of its own, and there may be no room for both
    if training.engine is None:
        fit = fit_here(training, hooks=hooks, resume=resume)
    else:
        fit = training.engine.fit(training, hooks=hooks, resume=resume)
    train = dataset.ratings.take(split.train)
    validation = dataset.ratings.take(split.validation)
    held_out = fit.held_out(dataset, train)
    at_best = Validation.of(dataset, train, validation).metrics(held_out.factors)
    chosen = choose_kernel(held_out.factors, train, validation, config.residuals)
    calibration, gain = calibrate_on(held_out.factors, chosen.kernel, train, validation)
    del held_out, train  # some GB of a large data set
    recommender = fit.recommender(dataset, dataset.ratings.take(split.learnable))
    return Fitted(
        kind=GRAPHSAGE,
        recommender=recommender.calibrated(calibration).corrected(chosen.kernel),
        hyperparameters=config.model_dump(),
        parameters=sum(member.model.n_parameters for member in fit.members),
        device=training.options.device,
        history=fit.first.result.history,
        best_epoch=fit.first.result.best_epoch,
        metrics=_metrics(fit.first.result, at_best),
        facts={
            "mean_rating": fit.members[0].model.sizes.mean_rating,
            **fit.facts(),
            **gain,
            **chosen.facts,
        },
        files=_artifacts(fit),
    )


def fit_here(
    training: Training,
    *,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
    group: Group | None = None,
) -> EnsembleFit:
    """Fit all models of a GraphSAGE version in this process, which may be one of a `group`.

    Raises:
        EmptyDataError, NonFiniteError, ArtifactError: see `fit_sage`.

    """
    # they bring torch, which no baseline needs
    from movierec.training.distributed.group import SINGLE_PROCESS
    from movierec.training.fit import FitTask, fit_members

    request, dataset, split = training.request, training.dataset, training.split
    train = dataset.ratings.take(split.train)
    validation = dataset.ratings.take(split.validation)
    part = Validation.of(dataset, train, validation)
    task = FitTask(
        dataset, train, validation, _config(training), training.options,
        measure=lambda factors: _headline(part.metrics(factors)),
        hooks=hooks, resume=resume, group=group or SINGLE_PROCESS,
    )  # fmt: skip
    refit_on = dataset.ratings.take(split.learnable) if request.refit else None
    return fit_members(task, members=request.members, refit_on=refit_on)


def _config(training: Training) -> SageHyperparameters:
    """Return the hyperparameters with what split and data decide.

    That is what is hidden, the use of times, and whether the graph is trained on in parts.
    """
    request, dataset, split = training.request, training.dataset, training.split
    config = hyperparameters(request.preset, **request.hyperparameters)
    changes: dict[str, Any] = {
        "graph_ratings": graph_ratings(config, dataset.n_movies, len(split.train))
    }
    if config.hiding == "auto":
        by_split = {"temporal": "later", "cold-users": "newcomers"}
        changes["hiding"] = by_split.get(split.spec.name, "random")
    if config.ranks_only:
        changes["residuals"] = "none"
    elif config.residuals == "taste+time" and dataset.ratings.timestamp is None:
        changes["residuals"] = "taste"
    return config.model_copy(update=changes)


def _headline(measured: Mapping[str, float]) -> dict[str, float]:
    return {"val_rmse": measured["rmse"], "val_ndcg_10": measured["ndcg"]}


def _metrics(first: FitResult, at_best: Mapping[str, float]) -> dict[str, float]:
    values = (
        *(at_best[name] for name in ("rmse", "mae", "precision", "recall", "ndcg")),
        first.history[-1].train_loss,
        first.best.val_loss,
    )
    return dict(zip(METRICS, values, strict=True))


def _artifacts(fit: EnsembleFit) -> dict[str, Callable[[Path], None]]:
    from movierec.models.graphsage.ensemble import as_one_module
    from movierec.training.checkpoint import save_tensors

    module = as_one_module([member.model for member in fit.members])
    weights = {name: value.cpu() for name, value in module.state_dict().items()}
    state = pickle.dumps(fit.members[0].preprocessor.state())
    return {
        "graphsage_model.pth": lambda path: save_tensors(path, weights),
        "preprocessor.pkl": lambda path: _write(path, state),
    }


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _count(recommender: Recommender) -> int:
    """Return how many numbers a baseline has learnt; ratings it keeps to look up are none."""
    arrays = {k: v for k, v in recommender.arrays().items() if k not in NOT_LEARNT}
    return int(sum(array.size for array in arrays.values() if array.dtype.kind == "f"))
