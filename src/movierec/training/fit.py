"""From ratings to trained GraphSAGEs: one fit, and all the fits of a version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from movierec.data.dataset import Dataset, Interactions
from movierec.graph import RatingGraph
from movierec.models.arrays import require_ratings
from movierec.models.factors import FactorModel
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.heads import NodeStates
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.network import GraphSage, Sizes
from movierec.models.graphsage.recommender import (
    SageRecommender,
    factors_of,
    feature_tensors,
)
from movierec.runtime import seed_everything
from movierec.training.budget import StepBudget, steps_per_epoch
from movierec.training.callbacks import FitResult, Hook, Stage
from movierec.training.distributed.group import SINGLE_PROCESS, Group
from movierec.training.distributed.shard import Shard, shared_factors
from movierec.training.options import TrainingOptions
from movierec.training.trainer import Trainer

__all__ = [
    "EnsembleFit",
    "FitTask",
    "Measure",
    "SageFit",
    "fit_members",
    "fit_sage",
    "member_seeds",
]

logger = logging.getLogger(__name__)

# validation metrics of a serving form: {"val_rmse": stars, "val_ndcg_10": share}
Measure = Callable[[FactorModel], dict[str, float]]


@dataclass(frozen=True, eq=False)
class FitTask:
    """The ratings, hyperparameters and options of a fit.

    `validation`, unless it is None or empty, picks the epoch; `measure` gives its metrics.
    Every worker of a `group` gets the same task and keeps the ratings of its own users.
    """

    dataset: Dataset
    train: Interactions
    validation: Interactions | None
    config: SageHyperparameters
    options: TrainingOptions
    measure: Measure | None = None
    hooks: Sequence[Hook] = ()
    resume: bool = False
    group: Group = SINGLE_PROCESS

    def refit_on(self, ratings: Interactions) -> FitTask:
        """Return the task of learning from all these ratings, with none left to validate."""
        return replace(self, train=ratings, validation=None, measure=None)


@dataclass(frozen=True)
class SageFit:
    """A trained model, what it was made with, and how training went."""

    model: GraphSage
    preprocessor: FeaturePreprocessor
    features: tuple[Tensor, Tensor]
    result: FitResult
    seed: int
    n_ratings: int

    def recommender(self, dataset: Dataset, known: Interactions) -> SageRecommender:
        """Return the model over the graph of the ratings that may be known."""
        return SageRecommender([self.model.cpu()], self.features, known, dataset.scale)


@dataclass(frozen=True, eq=False)
class EnsembleFit:
    """A version's models, and the fit whose validation curve is the version's.

    Without a refit `first` is the first member. With one it only found how many steps to take,
    and every member has learnt the validation part too.
    """

    first: SageFit
    members: Sequence[SageFit]
    refit_steps: int | None = None

    def recommender(self, dataset: Dataset, known: Interactions) -> SageRecommender:
        """Return the members' average over the graph of the ratings that may be known."""
        return _recommender(self.members, dataset, known)

    def held_out(self, dataset: Dataset, train: Interactions) -> SageRecommender:
        """Return what has not seen the validation part: the members, or before a refit the first.

        `train` is what it was fitted on.
        """
        measurable = self.members if self.refit_steps is None else [self.first]
        return _recommender(measurable, dataset, train)

    def facts(self) -> dict[str, Any]:
        """Return what `metadata.json` says of the fits; seconds are wall time of the epochs."""
        refitted = self.refit_steps is not None
        return {
            "members": len(self.members),
            "member_seeds": [fit.seed for fit in self.members],
            "refit": refitted,
            "refit_steps": self.refit_steps,
            "metrics_measured_on": "the fit before the refit" if refitted else "the version",
            "fits": [_row(fit) for fit in ([self.first] if refitted else []) + [*self.members]],
        }


def fit_members(
    task: FitTask, *, members: int = 1, refit_on: Interactions | None = None
) -> EnsembleFit:
    """Train the members one after the other, each with a checkpoint of its own.

    Without `refit_on` the validation part picks each member's epoch. With it, it picks one
    epoch of a first fit, which is then thrown away: every member is trained on `refit_on` for
    as many steps, its learning rate laid out as in the first fit.

    Raises:
        EmptyDataError, NonFiniteError, ArtifactError: see `fit_sage`.

    """
    seeds = member_seeds(task.options.seed, members)
    stages = _stages(members, refit=refit_on is not None)

    def fit(stage: Stage, seed: int, task: FitTask, budget: StepBudget | None = None) -> SageFit:
        logger.info("fit=%d of=%d seed=%d", stage.number, stage.count, seed)
        options = task.options.for_fit(stage.number, seed)
        return fit_sage(replace(task, options=options), stage=stage, budget=budget)

    if refit_on is None:
        done = [fit(stage, seed, task) for stage, seed in zip(stages, seeds, strict=True)]
        return EnsembleFit(done[0], done)
    first = fit(stages[0], task.options.seed, task)
    budget = _budget(task, first.result.best_epoch)
    again = task.refit_on(refit_on)
    pairs = zip(stages[1:], seeds, strict=True)
    done = [fit(stage, seed, again, budget) for stage, seed in pairs]
    return EnsembleFit(first, done, budget.steps)


def fit_sage(task: FitTask, *, stage: Stage = Stage(), budget: StepBudget | None = None) -> SageFit:
    """Train one model; all workers of a group return the same.

    Raises:
        EmptyDataError: there are no train ratings.
        NonFiniteError: the loss became NaN or infinite.
        ArtifactError: `task.resume` finds a checkpoint that does not fit.

    """
    dataset, train, config = task.dataset, task.train, task.config
    require_ratings(train)
    seed_everything(task.options.seed)
    preprocessor = FeaturePreprocessor(config.feature_bands).fit(dataset, train)
    features = feature_tensors(preprocessor, dataset)
    model = GraphSage(config, Sizes.of(dataset.scale, features, float(train.rating.mean())))
    shard = Shard.of(task.group, train.user, dataset.n_users)
    own = slice(shard.first_user, shard.last_user)
    trainer = Trainer(
        model,
        _graph(dataset, train, shard, timed=config.uses_order),
        _graph(dataset, task.validation, shard) if task.validation else None,
        (features[0][own], features[1]),
        options=task.options,
        validator=_validator(task.measure, dataset, task.group),
        hooks=task.hooks,
        budget=budget,
        stage=stage,
        shard=shard,
    )
    result = trainer.fit(resume=task.resume)
    return SageFit(model, preprocessor, features, result, task.options.seed, len(train))


def member_seeds(seed: int, members: int) -> list[int]:
    """Return the members' seeds: the first is `seed`, so that one member is a plain training.

    The others are hashed of seed and number, so that trainings of neighbouring seeds, as in a
    benchmark, share no member.
    """
    sequences = (np.random.SeedSequence([seed, number]) for number in range(1, members))
    return [seed, *(int(s.generate_state(1)[0] % 2**31) for s in sequences)]


def _stages(members: int, *, refit: bool) -> list[Stage]:
    titles = [f"member {n} of {members}" for n in range(1, members + 1)] if members > 1 else [""]
    if refit:
        titles = ["", *(f"refit, {title}".removesuffix(", ") for title in titles)]
    return [Stage(number, len(titles), title) for number, title in enumerate(titles, start=1)]


def _budget(task: FitTask, epochs: int) -> StepBudget:
    """Return the steps that so many epochs of the first fit took, on that fit's learning rate."""
    per_epoch = steps_per_epoch(task.config, len(task.train))
    return StepBudget(epochs * per_epoch, task.config.epochs * per_epoch)


def _recommender(fits: Sequence[SageFit], dataset: Dataset, known: Interactions) -> SageRecommender:
    models = [fit.model.cpu() for fit in fits]
    return SageRecommender(models, fits[0].features, known, dataset.scale)


def _row(fit: SageFit) -> dict[str, Any]:
    history = fit.result.history
    return {
        "seed": fit.seed,
        "ratings": fit.n_ratings,
        "epochs": len(history),
        "best_epoch": fit.result.best_epoch,
        "seconds": round(sum(epoch.seconds for epoch in history), 3),
    }


def _graph(
    dataset: Dataset, ratings: Interactions, shard: Shard, *, timed: bool = False
) -> RatingGraph:
    n_users = shard.last_user - shard.first_user
    own = shard.take(ratings)
    graph = shard.share(RatingGraph.build(own, n_users, dataset.n_movies, timed=timed))
    if not timed or shard.group.size == 1 or ratings.timestamp is None:
        return graph
    return shard.timed(graph, ratings)


def _validator(
    measure: Measure | None, dataset: Dataset, group: Group
) -> Callable[[GraphSage, NodeStates], dict[str, float]] | None:
    if measure is None:
        return None

    def measured(model: GraphSage, states: NodeStates) -> dict[str, float]:
        factors = shared_factors(factors_of(model, states, dataset.scale), group)
        return group.agree(measure(factors) if group.rank == 0 else {})

    return measured
