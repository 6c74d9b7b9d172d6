"""From train ratings to a trained GraphSAGE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from movierec.training.budget import StepBudget
from movierec.training.callbacks import Hook, Stage
from movierec.training.distributed.group import SINGLE_PROCESS, Group
from movierec.training.distributed.shard import Shard, shared_factors
from movierec.training.options import TrainingOptions
from movierec.training.trainer import FitResult, Trainer

__all__ = ["Measure", "SageFit", "fit_sage"]

# validation metrics of a serving form: {"val_rmse": stars, "val_ndcg_10": share}
Measure = Callable[[FactorModel], dict[str, float]]


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


def fit_sage(
    dataset: Dataset,
    train: Interactions,
    validation: Interactions | None,
    config: SageHyperparameters,
    options: TrainingOptions,
    *,
    measure: Measure | None = None,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
    budget: StepBudget | None = None,
    stage: Stage = Stage(),
    group: Group = SINGLE_PROCESS,
) -> SageFit:
    """Train one model on `train`; `validation`, unless it is empty, picks the epoch.

    Of a `group` every worker gets the same arguments, keeps the ratings of its own users and
    returns the same model.

    Raises:
        EmptyDataError: `train` is empty.
        NonFiniteError: the loss became NaN or infinite.
        ArtifactError: `resume` finds a checkpoint that does not fit.

    """
    require_ratings(train)
    seed_everything(options.seed)
    preprocessor = FeaturePreprocessor(config.feature_bands).fit(dataset, train)
    features = feature_tensors(preprocessor, dataset)
    model = GraphSage(config, Sizes.of(dataset.scale, features, float(train.rating.mean())))
    shard = Shard.of(group, train.user, dataset.n_users)
    own = slice(shard.first_user, shard.last_user)
    trainer = Trainer(
        model,
        _graph(dataset, train, shard, timed=config.heeds_order),
        _graph(dataset, validation, shard) if validation is not None and len(validation) else None,
        (features[0][own], features[1]),
        options=options,
        validator=_validator(measure, dataset, group),
        hooks=hooks,
        budget=budget,
        stage=stage,
        shard=shard,
    )
    result = trainer.fit(resume=resume)
    return SageFit(model, preprocessor, features, result, options.seed, len(train))


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
