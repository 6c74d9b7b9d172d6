"""Reference baselines: models that know nothing about anyone, which every other should beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.data.splits import Split
from movierec.evaluation.evaluate import evaluate
from movierec.evaluation.ranking import tie_order
from movierec.evaluation.result import Evaluation
from movierec.models.protocol import Arrays, Recommender

__all__ = ["ReferenceBaseline", "reference_baselines", "reference_models"]

RANDOM_SEED = 0


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
