"""Evaluate a recommender on the test part; and the reference baselines it stands beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.data.splits import Split
from movierec.errors import EvaluationError
from movierec.evaluation.beyond import beyond_accuracy
from movierec.evaluation.calibration import measure_calibration
from movierec.evaluation.protocols import (
    RELEVANT_RATING,
    FullRanking,
    HeldOut,
    Ranked,
    rank_full,
    rank_rated,
)
from movierec.evaluation.ranking import UserRanking, tie_order
from movierec.evaluation.ratings import mae, predict_ratings, rmse, uses_timestamps
from movierec.evaluation.result import Evaluation
from movierec.evaluation.slices import slice_table
from movierec.models.protocol import Arrays, Recommender

__all__ = [
    "ReferenceBaseline",
    "evaluate",
    "reference_baselines",
    "reference_models",
]

RANDOM_SEED = 0


_TIME = {True: "known to the predicted rating, never to the ranking", False: "not used"}


def evaluate(
    model: Recommender, dataset: Dataset, split: Split, *, k: int = 10, told: bool = False
) -> Evaluation:
    """Measure a fitted model on the test part of a split.

    Where the split has a support part (cold-users), the model observes it first, unless it was
    `told` of it already. "Known" ratings are those of the train, validation and support part:
    they are no candidates, and popularity and activity are counted on them.

    Raises:
        EvaluationError: k is below 1, the model is of another size than the data set, or its
            scores or predictions have the wrong shape.

    """
    _require_fit(model, dataset, k)
    if len(split.support) and not told:
        model = model.with_interactions(dataset.ratings.take(split.support))
    held_out = HeldOut.of(dataset, split)
    prediction = predict_ratings(model, dataset, held_out.ratings)
    timed, without_time = uses_timestamps(model, held_out.ratings), prediction
    if timed:
        without_time = predict_ratings(model, dataset, held_out.ratings, timed=False)
    ranked = Ranked.of(dataset, split, held_out)
    full = rank_full(model, ranked, k)
    rated, ranked_by = rank_rated(ranked, prediction[ranked.pairs], full.score, k)
    rankings = {"full": full.everything, "full_4": full.liked, "rated": rated}
    per_rating = _per_rating(split, held_out, prediction, ranked, full)
    per_user = _per_user(dataset, held_out, prediction, ranked, rankings)
    distribution = measure_calibration(model, dataset.scale, held_out.ratings)
    return Evaluation(
        protocol={
            **_protocol(dataset, split, k, held_out, ranked_by),
            "rating_time": _TIME[timed],
            **_sample(held_out, ranked),
        },
        rmse=rmse(prediction, held_out.ratings.rating),
        mae=mae(prediction, held_out.ratings.rating),
        without_time={
            "rmse": rmse(without_time, held_out.ratings.rating),
            "mae": mae(without_time, held_out.ratings.rating),
        },
        n_ratings=len(prediction),
        full=full.everything.summary(),
        full_4=full.liked.summary(),
        rated=rated.summary(),
        beyond=beyond_accuracy(
            full.lists, held_out.popularity, held_out.n_raters, dataset.genre_matrix
        ),
        slices=slice_table(dataset, held_out.popularity, per_user, per_rating, k),
        per_user=per_user,
        per_rating=per_rating,
        calibration=distribution.numbers,
        reliability=distribution.reliability,
    )


def _require_fit(model: Recommender, dataset: Dataset, k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k = {k} is no list length.", hint="Use k of 1 or more.")
    if (model.n_users, model.n_movies) != (dataset.n_users, dataset.n_movies):
        raise EvaluationError(
            f"The model knows {model.n_users} users and {model.n_movies} movies, the data set "
            f"{dataset.name} has {dataset.n_users} and {dataset.n_movies}.",
            hint="Evaluate a model on the data set that it was trained on.",
        )


def _per_rating(
    split: Split, held_out: HeldOut, prediction: FloatArray, ranked: Ranked, full: FullRanking
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            Columns.POSITION: split.test,
            Columns.USER_INDEX: held_out.ratings.user,
            Columns.MOVIE_INDEX: held_out.ratings.movie,
            Columns.RATING: held_out.ratings.rating,
            "prediction": prediction,
            "recommended": _recommended(len(prediction), ranked, full),
        }
    )


def _recommended(n_test: int, ranked: Ranked, full: FullRanking) -> Any:
    """Return which test ratings are in their user's list, missing where there is no list."""
    listed = full.place < full.lists.shape[1]
    if len(ranked.pairs) == n_test:
        return listed
    found = pd.array(np.zeros(n_test, bool), dtype="boolean")
    found[:] = pd.NA
    found[ranked.pairs] = listed
    return found


def _per_user(
    dataset: Dataset,
    held_out: HeldOut,
    prediction: FloatArray,
    ranked: Ranked,
    rankings: dict[str, UserRanking],
) -> pd.DataFrame:
    error = prediction.astype(np.float64) - held_out.ratings.rating
    n_test = np.bincount(held_out.row, minlength=len(held_out.users))
    squared = np.bincount(held_out.row, weights=error**2, minlength=len(n_test))
    columns: dict[str, Any] = {
        Columns.USER: dataset.users.ids[held_out.users],
        Columns.USER_INDEX: held_out.users,
        "n_train": held_out.n_known[held_out.users],
        "n_test": n_test,
        "sq_error_sum": squared,
        "abs_error_sum": np.bincount(held_out.row, weights=np.abs(error), minlength=len(n_test)),
        "rmse": np.sqrt(squared / n_test),
    }
    for protocol, ranking in rankings.items():
        for name, values in ranking.columns(protocol).items():
            columns[name] = np.full(len(n_test), np.nan)
            columns[name][ranked.place] = values
    return pd.DataFrame(columns)


def _sample(held_out: HeldOut, ranked: Ranked) -> dict[str, str]:
    """Return what the protocol says of who is ranked; nothing where everybody is."""
    if len(ranked.users) == len(held_out.users):
        return {}
    counts = f"{len(ranked.users):,} of {len(held_out.users):,}"
    return {"users_ranked": f"{counts} test users, drawn with a fixed seed"}


def _protocol(
    dataset: Dataset, split: Split, k: int, held_out: HeldOut, ranked_by: str
) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": split.spec.label,
        "split_spec": split.spec.model_dump(),
        "seed": split.spec.seed,
        "test_sha256": split.sha256,
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_support": len(split.support),
        "n_test": len(split.test),
        "n_test_users": len(held_out.users),
        "k": k,
        "thresholds": {"full": 0.0, "full_4": RELEVANT_RATING, "rated": RELEVANT_RATING},
        "candidates": {
            "full": "all movies but the user's known ones (train, validation, support part)",
            "rated": "the user's own test movies",
        },
        "rated_ranked_by": ranked_by,
        "ties": "one fixed random order of the movies",
        "mrr": "rank of the first relevant movie among all candidates, not cut at k",
        "calibration": "P(rating > threshold) in ten bins of equal width, all thresholds alike",
        "predictions": f"clipped to {dataset.scale.low:g}-{dataset.scale.high:g}",
    }


@dataclass(eq=False)
class ReferenceBaseline:
    """A `Recommender` that learns nothing about anyone: a rating for all, a rule for scores."""

    n_users: int
    n_movies: int
    rating: float
    scores: Callable[[IntArray], FloatArray]

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:  # noqa: ARG002
        """Return the same rating for every pair."""
        return np.full(len(user), self.rating, np.float32)

    def score(self, users: IntArray) -> FloatArray:
        """Return the rule's scores."""
        return self.scores(users)

    def with_interactions(self, ratings: Interactions) -> Recommender:  # noqa: ARG002
        """Return itself."""
        return self

    def arrays(self) -> Arrays:
        """Return nothing: it is measured, never saved."""
        return {}


def reference_baselines(dataset: Dataset, split: Split, k: int = 10) -> dict[str, Evaluation]:
    """Measure `random`, `constant` and `popular` on a split; see `reference_models`."""
    models = reference_models(dataset, split)
    return {name: evaluate(model, dataset, split, k=k) for name, model in models.items()}


def reference_models(dataset: Dataset, split: Split) -> dict[str, Recommender]:
    """Return the models that know nothing of anybody: `random`, `constant` and `popular`.

    `random` draws each user's scores from a fixed seed. `constant` gives every movie the mean
    known rating; its ties are broken by the one fixed random order of the movies. `popular`
    scores a movie by its number of known ratings. Only `constant` predicts ratings.
    """
    known = split.known
    counts = np.bincount(dataset.ratings.movie[known], minlength=dataset.n_movies)
    popularity, mean = counts.astype(np.float32), float(dataset.ratings.rating[known].mean())
    ties = tie_order(dataset.n_movies).astype(np.float32)  # exact up to 16 million movies
    size = (dataset.n_users, dataset.n_movies)
    return {
        "random": ReferenceBaseline(*size, np.nan, lambda users: _random(users, dataset.n_movies)),
        # as equal scores are ranked, and quicker than finding out that they are equal
        "constant": ReferenceBaseline(*size, mean, lambda users: _repeat(ties, users)),
        "popular": ReferenceBaseline(*size, np.nan, lambda users: _repeat(popularity, users)),
    }


def _random(users: IntArray, n_movies: int) -> FloatArray:
    # one generator per user: a user's scores do not depend on who else is asked for
    rows = [np.random.default_rng([RANDOM_SEED, u]).random(n_movies, np.float32) for u in users]
    return np.array(rows, np.float32).reshape(len(users), n_movies)


def _repeat(scores: FloatArray, users: IntArray) -> FloatArray:
    return np.broadcast_to(scores, (len(users), len(scores)))
