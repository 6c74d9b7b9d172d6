"""Fitting any model by name: a GraphSAGE preset or a baseline."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from movierec.data.dataset import Dataset, Interactions
from movierec.data.splits import Split
from movierec.models.factory import BASELINES, GRAPHSAGE, make_baseline
from movierec.models.graphsage.hyperparameters import SageHyperparameters, hyperparameters
from movierec.models.protocol import Recommender
from movierec.training.budget import graph_ratings
from movierec.training.callbacks import EpochResult, Hook
from movierec.training.options import TrainingOptions
from movierec.workflows.calibrate import calibrate_on
from movierec.workflows.requests import TrainRequest
from movierec.workflows.residuals import choose_kernel
from movierec.workflows.validation import Validation

if TYPE_CHECKING:
    from movierec.training.distributed.group import Group
    from movierec.training.ensemble import EnsembleFit
    from movierec.training.trainer import FitResult

__all__ = ["Fitted", "Fitter", "fit_here", "fit_model", "learnable"]

# the first report's fields of `metadata.json`, and NDCG; a baseline has no validation part
METRICS = (
    "val_rmse", "val_mae", "val_precision_10", "val_recall_10", "val_ndcg_10",
    "final_train_loss", "best_val_loss",
)  # fmt: skip
Fitter: TypeAlias = "Callable[..., EnsembleFit]"  # what `fit_here` does, wherever
NOT_LEARNT = frozenset({"scale", "slope", "rating", "numbers"})  # arrays that are no weights


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


def fit_model(
    request: TrainRequest,
    dataset: Dataset,
    split: Split,
    options: TrainingOptions,
    *,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
    fitter: Fitter | None = None,
) -> Fitted:
    """Fit the model a request asks for; the test part stays closed.

    A GraphSAGE learns from the train part, lets the validation part pick the epoch, and then
    has both in its graph; with a refit it learns again from both. A baseline, which picks
    nothing, learns from both. `fitter` does a GraphSAGE's steps elsewhere than in this process.
    """
    if request.is_graphsage:
        return _fit_sage(request, dataset, split, options, hooks, resume, fitter or fit_here)
    kind = BASELINES[request.preset]
    model = make_baseline(request.preset, request.hyperparameters)
    recommender = model.fit(dataset, learnable(dataset, split), seed=request.seed)
    return Fitted(
        kind=request.preset,
        recommender=recommender,
        hyperparameters=kind.hyperparameters(**request.hyperparameters).model_dump(),
        parameters=_count(recommender),
        metrics=dict.fromkeys(METRICS, math.nan),
    )


def learnable(dataset: Dataset, split: Split) -> Interactions:
    """Return the ratings of the train and validation part, in source order."""
    return dataset.ratings.take(split.learnable)


def _fit_sage(
    request: TrainRequest,
    dataset: Dataset,
    split: Split,
    options: TrainingOptions,
    hooks: Sequence[Hook],
    resume: bool,
    fitter: Fitter,
) -> Fitted:
    config = _config(request, dataset, split)
    # before any part is taken here: it has parts of its own, and there may be no room for both
    fit = fitter(request, dataset, split, options, hooks=hooks, resume=resume)
    train = dataset.ratings.take(split.train)
    validation = dataset.ratings.take(split.validation)
    held_out = fit.held_out(dataset, train)
    at_best = Validation.of(dataset, train, validation).metrics(held_out.factors)
    chosen = choose_kernel(held_out.factors, train, validation, config.residuals)
    calibration, gain = calibrate_on(held_out.factors, chosen.kernel, train, validation)
    del held_out, train  # some GB of a large data set
    known = learnable(dataset, split)
    return Fitted(
        kind=GRAPHSAGE,
        recommender=fit.recommender(dataset, known)
        .calibrated(calibration)
        .corrected(chosen.kernel),
        hyperparameters=config.model_dump(),
        parameters=sum(member.model.n_parameters for member in fit.members),
        device=options.device,
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
    request: TrainRequest,
    dataset: Dataset,
    split: Split,
    options: TrainingOptions,
    *,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
    group: Group | None = None,
) -> EnsembleFit:
    """Do the steps of a GraphSAGE's training in this process, which may be one of a `group`.

    Raises:
        EmptyDataError, NonFiniteError, ArtifactError: see `fit_sage`.

    """
    from movierec.training.distributed.group import (
        SINGLE_PROCESS,  # brings torch, which no baseline needs
    )
    from movierec.training.ensemble import fit_members

    train = dataset.ratings.take(split.train)
    validation = dataset.ratings.take(split.validation)
    part = Validation.of(dataset, train, validation)
    return fit_members(
        dataset, train, validation, _config(request, dataset, split), options,
        members=request.members, refit_on=learnable(dataset, split) if request.refit else None,
        measure=lambda factors: _headline(part.metrics(factors)), hooks=hooks, resume=resume,
        group=group or SINGLE_PROCESS,
    )  # fmt: skip


def _config(request: TrainRequest, dataset: Dataset, split: Split) -> SageHyperparameters:
    return _settled(hyperparameters(request.preset, **request.hyperparameters), dataset, split)


def _settled(config: SageHyperparameters, dataset: Dataset, split: Split) -> SageHyperparameters:
    """Return the hyperparameters with what split and data decide.

    That is what is hidden, the use of times, and whether the graph is trained on in parts.
    """
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
    from movierec.models.ensemble import as_one_module
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
