"""Somebody who was never in training, answered from the ratings they give: no retraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.errors import EvaluationError
from movierec.inference.content import VersionContent
from movierec.inference.person import Person
from movierec.models.arrays import RatingLists
from movierec.models.baselines.ease import EASEModel
from movierec.models.baselines.knn import NeighbourModel
from movierec.models.factors import FactorModel
from movierec.models.factory import GRAPHSAGE
from movierec.models.graphsage.user_encoder import Ratings, UserVectors
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel, fit_residuals

__all__ = [
    "FEATURES",
    "SAME_FOR_ALL",
    "can_answer",
    "feature_row",
    "known_ratings",
    "newcomer",
    "recommender_for",
    "without",
]

FEATURES = (Columns.AGE, Columns.GENDER, Columns.OCCUPATION)
# baselines that rank alike for everybody, or shift by how generous somebody is
SAME_FOR_ALL = ("mean", "popular", "biases")


def newcomer(
    version: VersionContent,
    ratings: Mapping[str, float],
    features: Mapping[str, object] | None = None,
) -> Person:
    """Return a person with these ratings, stars by movie id, and what is known beside them.

    A GraphSAGE computes their vectors by the user's half of its forward pass: they hear the
    movies they rated, in the states these have in the version's graph. EASE and kNN between
    movies use their ratings as they do anybody's. What must be trained again to know somebody
    new (SVD, ALS, BPR, LightGCN, myFM, kNN between users, and a GraphSAGE that was kept before
    versions knew how) answers with the reason "fallback"; see `can_answer`.

    Raises:
        NotFoundError: there is no such movie.
        EvaluationError: a rating lies off the scale, or a feature is unknown or no number where
            one is needed.

    """
    movies = version.dataset.movies.indices([*ratings])
    stars = _stars(version, ratings)
    known = _features(features)
    found = None
    if can_answer(version):
        found = recommender_for(version, Ratings.new(movies, stars), feature_row(version, known))
    if found is None:
        return Person(None, version.recommender, 0, movies, stars, "fallback", known)
    return Person(None, found, 0, movies, stars, "newcomer", known)


def can_answer(version: VersionContent) -> bool:
    """Return whether the version's kind of model can answer somebody new without training."""
    model = version.recommender
    if isinstance(model, NeighbourModel):
        return not model.by_users
    if version.metadata.model == GRAPHSAGE:
        return version.inductive is not None
    return isinstance(model, EASEModel) or version.metadata.model in SAME_FOR_ALL


def recommender_for(version: VersionContent, ratings: Ratings, features: FloatArray) -> Recommender:
    """Return a recommender of one user, who has these ratings; `features`: (1, f)."""
    model = version.recommender
    own = Interactions(np.zeros(len(ratings), np.int64), ratings.movie, ratings.stars)
    if isinstance(model, EASEModel):
        return replace(model, seen=_lists(own), n_users=1)
    if isinstance(model, NeighbourModel):
        blank = replace(model, ratings=_lists(own.take(ratings.movie[:0])), user_bias=_zero())
        return blank.with_interactions(own)
    if version.metadata.model != GRAPHSAGE:
        return _same_for_all(version, own)
    return _sage(version, ratings, features, own)


def feature_row(version: VersionContent, features: Mapping[str, Any] | None) -> FloatArray:
    """Return what the model reads of a person beside the ratings, (1, n_features)."""
    if version.preprocessor is None:
        return np.ones((1, 1), np.float32)
    if not features:
        return version.no_features
    values = {name: [features.get(name)] for name in FEATURES}
    return version.preprocessor.users(pd.DataFrame(values))


def one_user(factors: FactorModel, vectors: UserVectors) -> FactorModel:
    """Return the factors with this one user in place of all."""
    sided = factors.predicts_ratings, factors.has_ranking_side
    none = np.zeros((0, 0), np.float32)
    return replace(
        factors,
        n_users=1,
        rating_user=vectors.rating if sided[0] else none,
        rating_user_bias=vectors.rating_bias if len(factors.rating_user_bias) else _nothing(),
        ranking_user=vectors.ranking if sided[1] else none,
    )


def _sage(
    version: VersionContent, ratings: Ratings, features: FloatArray, own: Interactions
) -> Recommender:
    if version.inductive is None:
        raise TypeError(version.name)
    vectors = version.inductive.vectors(ratings, features)
    model = version.recommender
    if isinstance(model, ResidualModel):
        factors = one_user(model.factors, vectors)
        return fit_residuals(factors, own, model.kernel, near=model.directions)
    if not isinstance(model, FactorModel):
        raise TypeError(type(model))
    return one_user(model, vectors)


def _same_for_all(version: VersionContent, own: Interactions) -> Recommender:
    """Return the first user's model with this user's bias in its place."""
    model = version.recommender
    if not isinstance(model, FactorModel):
        raise TypeError(type(model))
    bias = _nothing()
    if len(model.rating_user_bias):
        rest = own.rating - model.offset - model.rating_movie_bias[own.movie]
        shrinkage = float(version.metadata.hyperparameters["user_regularization"] or 0.0)
        bias = np.array([rest.sum() / max(len(rest) + shrinkage, 1e-9)], np.float32)
    return replace(
        model,
        n_users=1,
        rating_user=model.rating_user[:1],
        rating_user_bias=bias,
        ranking_user=model.ranking_user[:1],
    )


def _lists(own: Interactions) -> RatingLists:
    return RatingLists.build(own.user, own.movie, own.rating, n_rows=1)


def _stars(version: VersionContent, ratings: Mapping[str, float]) -> FloatArray:
    scale = version.dataset.scale
    for movie, stars in ratings.items():
        if not scale.low <= stars <= scale.high:  # NaN is not between them either
            raise EvaluationError(
                f"{stars} for movie {movie!r} is not on the scale of {scale.low:g} to "
                f"{scale.high:g} stars.",
                hint="Give a rating between the two.",
            )
    return np.array([*ratings.values()], np.float32)


def _features(features: Mapping[str, object] | None) -> dict[str, Any]:
    given = {name: value for name, value in (features or {}).items() if value is not None}
    unknown = sorted(set(given) - set(FEATURES))
    if unknown:
        raise EvaluationError(
            f"There is no feature {unknown[0]!r} of users.",
            hint=f"What can be said of a person: {', '.join(FEATURES)}.",
        )
    age = given.get(Columns.AGE)
    if age is not None and not (isinstance(age, int | float) and 0 <= age <= 150):
        raise EvaluationError(f"{age!r} is no age in years.", hint="Use a number up to 150.")
    return given


def _zero() -> FloatArray:
    return np.zeros(1, np.float32)


def _nothing() -> FloatArray:
    return np.zeros(0, np.float32)


def known_ratings(version: VersionContent, person: Person) -> Ratings:
    """Return a person's ratings as the version's graph has them."""
    ratings = Ratings.new(person.seen, person.stars)
    inductive = version.inductive
    if person.reason == "newcomer" or inductive is None or not inductive.uses_trend:
        return ratings
    own = version.rows_of(person.index)
    newest = version.known.movie[own[version.is_newest[own]]]
    return Ratings(person.seen, person.stars, np.isin(person.seen, newest))


def without(ratings: Ratings, dropped: IntArray) -> Ratings:
    """Return the ratings without those of some movies."""
    kept = ~np.isin(ratings.movie, dropped)
    return Ratings(ratings.movie[kept], ratings.stars[kept], ratings.is_newest[kept])
