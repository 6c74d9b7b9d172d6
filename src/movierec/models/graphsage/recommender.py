"""Trained GraphSAGEs as a recommender: one forward pass each, then plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions, RatingScale
from movierec.graph import RatingGraph
from movierec.models.calibration import Calibration
from movierec.models.factors import FactorModel
from movierec.models.graphsage.ensemble import average
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.heads import ORDINAL_SLOPE, Factors, NodeStates
from movierec.models.graphsage.network import GraphSage
from movierec.models.graphsage.user_encoder import user_encoder_arrays
from movierec.models.protocol import Arrays
from movierec.models.residuals import ResidualKernel, ResidualModel, fit_residuals

__all__ = [
    "SageRecommender",
    "encoded",
    "export_factors",
    "factors_of",
    "feature_tensors",
]


def feature_tensors(preprocessor: FeaturePreprocessor, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return the features of all users and of all movies, (n_users, f_u) and (n_movies, f_m)."""
    users, movies = dataset.user_frame, dataset.movie_frame
    return (
        torch.from_numpy(preprocessor.users(users)),
        torch.from_numpy(preprocessor.movies(movies)),
    )


class SageRecommender:
    """One model, or the average of several, over the graph of the ratings it may know.

    Args:
        members: trained; they are put into evaluation mode. See `ensemble.average`.
        features: of all users and movies, see `feature_tensors`.
        known: the ratings in the graph; not necessarily those they were trained on.
        scale: of the data set.
        calibration: of the rating distribution, see `FactorModel`; None for none.
        kernel: of the correction by the users' own residuals, see `ResidualModel`; None for none.

    """

    def __init__(
        self,
        members: Sequence[GraphSage],
        features: tuple[Tensor, Tensor],
        known: Interactions,
        scale: RatingScale,
        calibration: FloatArray | None = None,
        kernel: ResidualKernel | None = None,
    ) -> None:
        self.members = [model.eval() for model in members]
        self.features = features
        self.known = known
        self.scale = scale
        self.calibration = np.zeros(0, np.float32) if calibration is None else calibration
        self.kernel = kernel
        self.n_users, self.n_movies = len(features[0]), len(features[1])

    @cached_property
    def factors(self) -> FactorModel:
        """The members' averaged answers about every user and movie as plain arrays."""
        exported = [
            factors_of(model, states, self.scale)
            for model, states in zip(self.members, self._states, strict=True)
        ]
        return replace(average(exported), calibration=self.calibration)

    @cached_property
    def _states(self) -> list[NodeStates]:
        graph = RatingGraph.build(self.known, self.n_users, self.n_movies)
        return [encoded(model, graph, self.features) for model in self.members]

    @cached_property
    def serving(self) -> FactorModel | ResidualModel:
        """What answers: the factors, corrected where there is a kernel."""
        if self.kernel is None:
            return self.factors
        return fit_residuals(self.factors, self.known, self.kernel)

    @property
    def has_distribution(self) -> bool:
        """Whether there is a probability for every rating."""
        return self.factors.has_distribution

    @property
    def uses_timestamps(self) -> bool:
        """Whether predicted ratings depend on when they are given."""
        return isinstance(self.serving, ResidualModel) and self.serving.uses_timestamps

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars, (n,) and (n,) -> (n,)."""
        return self.serving.predict(user, movie)

    def predict_at(self, user: IntArray, movie: IntArray, timestamp: IntArray) -> FloatArray:
        """Return the stars of ratings given at these times in seconds, (n,) each -> (n,)."""
        if isinstance(self.serving, ResidualModel):
            return self.serving.predict_at(user, movie, timestamp)
        return self.serving.predict(user, movie)

    def score(self, users: IntArray) -> FloatArray:
        """Return ranking scores, (n,) -> (n, n_movies)."""
        return self.factors.score(users)

    def rating_distribution(
        self, user: IntArray, movie: IntArray, timestamp: IntArray | None = None
    ) -> FloatArray:
        """Return the probability of every rating, (n,) each -> (n, L)."""
        if isinstance(self.serving, ResidualModel):
            return self.serving.rating_distribution(user, movie, timestamp)
        return self.serving.rating_distribution(user, movie)

    def calibrated(self, calibration: Calibration) -> SageRecommender:
        """Return the same models with these probabilities; predictions stay as they are."""
        return self._changed(self.known, calibration.numbers(self.factors), self.kernel)

    def corrected(self, kernel: ResidualKernel | None) -> SageRecommender:
        """Return the same models with this correction of predicted ratings."""
        return self._changed(self.known, self.calibration, kernel)

    def with_interactions(self, ratings: Interactions) -> SageRecommender:
        """Return the same weights over a graph that has these ratings too."""
        if not len(ratings):
            return self
        return self._changed(_joined(self.known, ratings), self.calibration, self.kernel)

    def arrays(self) -> Arrays:
        """Return the arrays of the serving form, and what newcomers need beside them."""
        arrays = self.serving.arrays()
        for place, (model, states) in enumerate(zip(self.members, self._states, strict=True)):
            arrays |= user_encoder_arrays(place, model, states)
        return arrays

    def _changed(
        self, known: Interactions, calibration: FloatArray, kernel: ResidualKernel | None
    ) -> SageRecommender:
        changed = SageRecommender(
            self.members, self.features, known, self.scale, calibration, kernel
        )
        if known is self.known and "_states" in vars(self):  # a pass over the graph takes a while
            vars(changed)["_states"] = self._states
        return changed


def export_factors(
    model: GraphSage, graph: RatingGraph, features: tuple[Tensor, Tensor], scale: RatingScale
) -> FactorModel:
    """Return the serving form of a model over a graph; the model keeps its mode and device."""
    return factors_of(model, encoded(model, graph, features), scale)


@torch.no_grad()
def encoded(model: GraphSage, graph: RatingGraph, features: tuple[Tensor, Tensor]) -> NodeStates:
    """Return a model's states over a graph in evaluation mode; it keeps its mode and device."""
    was_training = model.training
    device = next(model.parameters()).device
    model.eval()
    states = model.encode(graph.to(device), features[0].to(device), features[1].to(device))
    model.train(was_training)
    return states


@torch.no_grad()
def factors_of(model: GraphSage, states: NodeStates, scale: RatingScale) -> FactorModel:
    """Return the serving form of a model's states, made in evaluation mode."""
    rating, ranking = model.rating_factors(states), model.ranking_factors(states)
    arrays = {**_named("rating", rating), **_named("ranking", ranking)}
    arrays.pop("ranking_user_bias", None)  # a constant per user ranks nothing
    offset, slope = 0.0, 1.0
    if model.link is not None:
        arrays["cut_points"], slope = model.link.cuts.detach().cpu().numpy(), ORDINAL_SLOPE
    elif model.config.head == "projection":
        offset = model.sizes.mean_rating
    n_users, n_movies = len(states.user), len(states.movie)
    return FactorModel(n_users, n_movies, scale, offset=offset, slope=slope, **arrays)


def _named(side: str, factors: Factors | None) -> dict[str, FloatArray]:
    if factors is None:
        return {}
    parts = ("user", "movie", "user_bias", "movie_bias")
    return {f"{side}_{part}": getattr(factors, part).float().cpu().numpy() for part in parts}


def _joined(first: Interactions, second: Interactions) -> Interactions:
    times = (first.timestamp, second.timestamp)
    return Interactions(
        np.concatenate([first.user, second.user]),
        np.concatenate([first.movie, second.movie]),
        np.concatenate([first.rating, second.rating]),
        None if times[0] is None or times[1] is None else np.concatenate([*times]),
    )
