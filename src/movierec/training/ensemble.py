"""All the fits of one version: members of different seeds, and the refit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset, Interactions
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.recommender import SageRecommender
from movierec.training.budget import StepBudget, steps_per_epoch
from movierec.training.callbacks import Hook, Stage
from movierec.training.distributed.group import SINGLE_PROCESS, Group
from movierec.training.fit import Measure, SageFit, fit_sage
from movierec.training.options import TrainingOptions

__all__ = ["EnsembleFit", "fit_members", "member_seeds"]

logger = logging.getLogger(__name__)


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


def member_seeds(seed: int, members: int) -> list[int]:
    """Return the members' seeds: the first is `seed`, so that one member is a plain training.

    The others are hashed of seed and number, so that trainings of neighbouring seeds, as in a
    benchmark, share no member.
    """
    sequences = (np.random.SeedSequence([seed, number]) for number in range(1, members))
    return [seed, *(int(s.generate_state(1)[0] % 2**31) for s in sequences)]


def fit_members(
    dataset: Dataset,
    train: Interactions,
    validation: Interactions,
    config: SageHyperparameters,
    options: TrainingOptions,
    *,
    members: int = 1,
    refit_on: Interactions | None = None,
    measure: Measure | None = None,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
    group: Group = SINGLE_PROCESS,
) -> EnsembleFit:
    """Train the members one after the other, each with a checkpoint of its own.

    Without `refit_on` the validation part picks each member's epoch. With it, it picks one
    epoch of a first fit, which is then thrown away: every member is trained on `refit_on` for
    as many steps, its learning rate laid out as in the first fit.

    Raises:
        EmptyDataError, NonFiniteError, ArtifactError: see `fit_sage`.

    """
    seeds = member_seeds(options.seed, members)
    stages = _stages(members, refit=refit_on is not None)

    def fit(stage: Stage, seed: int, ratings: Interactions, **how: Any) -> SageFit:
        logger.info("fit=%d of=%d seed=%d", stage.number, stage.count, seed)
        here = options.for_fit(stage.number, seed)
        return fit_sage(
            dataset, ratings, how.pop("validation", None), config, here,
            hooks=hooks, resume=resume, stage=stage, group=group, **how,
        )  # fmt: skip

    watched = {"validation": validation, "measure": measure}
    if refit_on is None:
        pairs = zip(stages, seeds, strict=True)
        done = [fit(stage, seed, train, **watched) for stage, seed in pairs]
        return EnsembleFit(done[0], done)
    first = fit(stages[0], options.seed, train, **watched)
    budget = _refit_budget(config, len(train), first.result.best_epoch)
    pairs = zip(stages[1:], seeds, strict=True)
    done = [fit(stage, seed, refit_on, budget=budget) for stage, seed in pairs]
    return EnsembleFit(first, done, budget.steps)


def _stages(members: int, *, refit: bool) -> list[Stage]:
    titles = [f"member {n} of {members}" for n in range(1, members + 1)] if members > 1 else [""]
    if refit:
        titles = ["", *(f"refit, {title}".removesuffix(", ") for title in titles)]
    return [Stage(number, len(titles), title) for number, title in enumerate(titles, start=1)]


def _refit_budget(config: SageHyperparameters, n_train: int, epochs: int) -> StepBudget:
    """Return the steps that so many epochs of the first fit took, on that fit's learning rate."""
    per_epoch = steps_per_epoch(config, n_train)
    return StepBudget(epochs * per_epoch, config.epochs * per_epoch)


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
