"""Small GraphSAGEs, graphs and trainings, made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from movierec.data.dataset import Dataset, Interactions
from movierec.graph import RatingGraph
from movierec.models.factors import FactorModel
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.hyperparameters import SageHyperparameters, hyperparameters
from movierec.models.graphsage.network import GraphSage, Sizes
from movierec.models.graphsage.recommender import feature_tensors
from movierec.training.callbacks import EpochResult, Hook, Plan
from movierec.training.fit import EnsembleFit, FitTask, SageFit, fit_members, fit_sage
from movierec.training.options import TrainingOptions
from tests.support.factories import make_dataset

# every switch that differs between the presets, small: what the product's pride is made of
RICH = {
    "messages": "rating", "weights": "per_type", "aggregator": "mean", "feature_layers": 2,
    "feature_bands": True, "normalisation": "layer", "readout": "all", "head": "projection",
    "feature_dropout": 0.1, "loss_type": "ordinal", "ranking_weight": 0.5, "optimizer": "adamw",
    "schedule": "one_cycle", "learning_rate": 0.01, "weight_decay": 0.01, "gradient_clip": 1.0,
    "target_fraction": 0.3, "weight_average": 0.9,
}  # fmt: skip
PLAIN = {"batch_size": 64, "learning_rate": 0.005}
# early stopping makes the first fit shorter than its plan, and the fits of different length
SHORT = {
    "rich": {**RICH, "dropout": 0.2, "epochs": 12, "early_stopping_patience": 1},
    "batches": {**PLAIN, "dropout": 0.2, "learning_rate": 0.2, "epochs": 12,
                "early_stopping_patience": 2, "schedule": "one_cycle"},
}  # fmt: skip


def small(**changes: object) -> SageHyperparameters:
    return hyperparameters("report", **{"hidden_dim": 8, "num_layers": 2, "epochs": 6, **changes})


def random_graph(n_users: int = 7, n_movies: int = 9, share: float = 0.4, seed: int = 0):
    """Make a graph in which the last user and the last two movies have no edge."""
    rng = np.random.default_rng(seed)
    chosen = rng.random((n_users, n_movies)) < share
    chosen[-1] = chosen[:, -2:] = False
    user, movie = (side.astype(np.int64) for side in np.nonzero(chosen))
    rating = rng.integers(1, 6, len(user)).astype(np.float32)
    return RatingGraph.build(Interactions(user, movie, rating), n_users, n_movies)


def parts_of(dataset: Dataset) -> tuple[Interactions, Interactions]:
    """Divide the ratings: every fifth one validates."""
    place = np.arange(dataset.n_ratings)
    held = place % 5 == 0
    return dataset.ratings.take(place[~held]), dataset.ratings.take(place[held])


def graph_of(dataset: Dataset, ratings: Interactions) -> RatingGraph:
    return RatingGraph.build(ratings, dataset.n_users, dataset.n_movies)


@dataclass(frozen=True)
class Made:
    """An untrained model and all it is called with."""

    dataset: Dataset
    train: Interactions
    validation: Interactions
    graph: RatingGraph
    features: tuple[Tensor, Tensor]
    model: GraphSage
    preprocessor: FeaturePreprocessor


def make_model(config: SageHyperparameters, dataset: Dataset | None = None, seed: int = 0) -> Made:
    dataset = dataset or make_dataset()
    train, validation = parts_of(dataset)
    preprocessor = FeaturePreprocessor(config.feature_bands).fit(dataset, train)
    features = feature_tensors(preprocessor, dataset)
    torch.manual_seed(seed)
    model = GraphSage(config, sizes_of(dataset, train, features)).eval()
    return Made(dataset, train, validation, graph_of(dataset, train), features, model, preprocessor)


def sizes_of(dataset: Dataset, train: Interactions, features: tuple[Tensor, Tensor]) -> Sizes:
    return Sizes.of(dataset.scale, features, float(train.rating.mean()))


def rmse_on(ratings: Interactions) -> Callable[[FactorModel], dict[str, float]]:
    def measure(factors: FactorModel) -> dict[str, float]:
        error = factors.predict(ratings.user, ratings.movie) - ratings.rating
        return {"val_rmse": float(np.sqrt(np.mean(error**2)))}

    return measure


def fit(
    config: SageHyperparameters,
    dataset: Dataset | None = None,
    *,
    seed: int = 0,
    hooks: Sequence[Hook] = (),
    checkpoint=None,
    resume: bool = False,
    device: str = "cpu",
) -> SageFit:
    """Train as the product does, the validation part picking the epoch."""
    dataset = dataset or make_dataset()
    train, validation = parts_of(dataset)
    return fit_sage(
        FitTask(
            dataset,
            train,
            validation,
            config,
            TrainingOptions(device=device, seed=seed, checkpoint=checkpoint),
            measure=None if config.ranks_only else rmse_on(validation),
            hooks=hooks,
            resume=resume,
        )
    )


def fit_version(
    config: SageHyperparameters,
    dataset: Dataset | None = None,
    *,
    members: int = 1,
    refit: bool = False,
    seed: int = 0,
    hooks: Sequence[Hook] = (),
    checkpoint=None,
    resume: bool = False,
) -> EnsembleFit:
    """Train all the models of a version, as the product does."""
    dataset = dataset or make_dataset()
    train, validation = parts_of(dataset)
    return fit_members(
        FitTask(
            dataset,
            train,
            validation,
            config,
            TrainingOptions(device="cpu", seed=seed, checkpoint=checkpoint),
            measure=None if config.ranks_only else rmse_on(validation),
            hooks=hooks,
            resume=resume,
        ),
        members=members,
        refit_on=dataset.ratings if refit else None,
    )


def nothing(*args: object, **kwargs: object) -> None:
    """Stands in for a step that a planted bug leaves out."""


class Recorder:
    """A hook that writes down each call."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def on_start(self, plan: Plan) -> None:
        self.calls.append(("start", plan.first_epoch))

    def on_step(self, epoch: int, step: int) -> None:
        self.calls.append(("step", epoch, step))

    def on_epoch(self, result: EpochResult) -> None:
        self.calls.append(("epoch", result.epoch))


class Interrupt(Recorder):
    """A hook that raises at a place, as Ctrl-C does."""

    def __init__(self, *place: object) -> None:
        super().__init__()
        self.place = place

    def on_step(self, epoch: int, step: int) -> None:
        super().on_step(epoch, step)
        self._raise_at("step", epoch, step)

    def on_epoch(self, result) -> None:
        super().on_epoch(result)
        self._raise_at("epoch", result.epoch)

    def _raise_at(self, *place: object) -> None:
        if place == self.place:
            raise KeyboardInterrupt


class Watch(Interrupt):
    """Also writes down the fit that each call belongs to; its places begin with the fit."""

    def __init__(self, *place: object) -> None:
        super().__init__(*place)
        self.plans: list[Plan] = []

    def on_start(self, plan: Plan) -> None:
        super().on_start(plan)
        self.plans.append(plan)

    def _raise_at(self, *place: object) -> None:
        super()._raise_at(self.plans[-1].stage.number, *place)

    def steps(self, number: int) -> int:
        """Return how many steps the n-th fit took."""
        starts = [i for i, call in enumerate(self.calls) if call[0] == "start"]
        ends = [*starts[1:], len(self.calls)]
        calls = self.calls[starts[number - 1] : ends[number - 1]]
        return sum(call[0] == "step" for call in calls)


def weights_of(model: GraphSage) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_weights(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Tell whether two state dicts are equal to the bit."""
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
