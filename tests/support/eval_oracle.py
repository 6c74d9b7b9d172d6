"""Evaluation written a second time, slowly: plain loops over plain lists, one user at a time."""

from __future__ import annotations

import math

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import Split
from movierec.evaluation.ranking import tie_order


class TableModel:
    """A recommender that looks everything up in two tables of shape (n_users, n_movies)."""

    def __init__(self, scores, predictions=None):
        self.n_users, self.n_movies = scores.shape
        self.scores = np.asarray(scores, np.float32)
        self.predictions = np.full(scores.shape, np.nan) if predictions is None else predictions

    def predict(self, user, movie):
        return self.predictions[user, movie].astype(np.float32)

    def score(self, users):
        return self.scores[users]

    def with_interactions(self, ratings):
        return self

    def arrays(self):
        return {"scores": self.scores}


def random_model(dataset: Dataset, seed: int = 0) -> TableModel:
    rng = np.random.default_rng(seed)
    shape = dataset.n_users, dataset.n_movies
    return TableModel(rng.normal(size=shape), rng.normal(3.5, 1.5, size=shape))


def ranked(candidates, score) -> list[int]:
    order = tie_order(len(score))
    return sorted(candidates, key=lambda movie: (-score[movie], -order[movie]))


def naive_metrics(ranking: list[int], relevant: set[int], k: int, depth: int) -> dict[str, float]:
    if not relevant:
        return dict.fromkeys(("precision", "recall", "ndcg", "hit_rate", "map", "mrr"), math.nan)
    hits, dcg, precisions, reciprocal = 0, 0.0, 0.0, 0.0
    for rank, movie in enumerate(ranking, start=1):
        if movie not in relevant:
            continue
        reciprocal = reciprocal or 1 / rank
        if rank <= k:
            hits += 1
            dcg += 1 / math.log2(rank + 1)
            precisions += hits / rank
    best = min(k, len(relevant))
    return {
        "precision": hits / depth,
        "recall": hits / len(relevant),
        "ndcg": dcg / sum(1 / math.log2(rank + 1) for rank in range(1, best + 1)),
        "hit_rate": float(hits > 0),
        "map": precisions / best,
        "mrr": reciprocal,
    }


def naive_full(scores, seen, relevant, k: int) -> list[dict[str, float]]:
    """Shapes: scores, seen, relevant: (n_users, n_movies), the last two 0/1."""
    rows = []
    for user in range(len(scores)):
        candidates = [movie for movie in range(scores.shape[1]) if not seen[user, movie]]
        wanted = {movie for movie in range(scores.shape[1]) if relevant[user, movie]}
        rows.append(naive_metrics(ranked(candidates, scores[user]), wanted, k, k))
    return rows


def naive_rated(model, dataset: Dataset, split: Split, k: int) -> dict[int, dict[str, float]]:
    """Rank each test user's own test movies by clipped prediction, or by score without one."""
    test = dataset.ratings.take(split.test)
    rows = {}
    for user in sorted(set(test.user.tolist())):
        own = test.user == user
        stars = dict(zip(test.movie[own].tolist(), test.rating[own].tolist(), strict=True))
        predicted = np.clip(model.predictions[user], dataset.scale.low, dataset.scale.high)
        by = model.scores[user] if np.isnan(predicted[list(stars)]).any() else predicted
        relevant = {movie for movie, rating in stars.items() if rating >= 4}
        ranking = ranked(stars, by.astype(np.float32))
        rows[user] = naive_metrics(ranking, relevant, k, min(k, len(stars)))
    return rows
