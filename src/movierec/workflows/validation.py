"""What an epoch, a trial and a finished fit are worth on the validation part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.errors import NonFiniteError
from movierec.evaluation.ranking import UserRanking, ranking_at_k
from movierec.models.protocol import Recommender

__all__ = ["Validation", "validation_metrics"]

MOST_USERS = 10_000  # ranking more of them each epoch would take longer than training
MOST_CELLS = 25 * 10**7  # scores of them all: two seconds, however many movies there are
CELLS_AT_ONCE = 2**22  # scores of a block of users: about 40 MB with their copy


@dataclass(frozen=True, eq=False)
class Validation:
    """The validation part, and those of its users who are ranked.

    Shapes: users: (n,); seen, relevant: CSR (n, n_movies), their train and validation movies.
    """

    ratings: Interactions
    users: IntArray
    seen: Any
    relevant: Any

    @classmethod
    def of(cls, dataset: Dataset, train: Interactions, validation: Interactions) -> Validation:
        """Choose who is ranked: all, or as many as there is time for, evenly spread."""
        users = np.flatnonzero(np.bincount(validation.user, minlength=dataset.n_users))
        most = max(1, min(MOST_USERS, MOST_CELLS // max(1, dataset.n_movies)))
        if len(users) > most:
            users = users[np.linspace(0, len(users) - 1, most).round().astype(np.int64)]
        seen, relevant = (
            part.among(users, dataset.n_users).matrix(len(users), dataset.n_movies)
            for part in (train, validation)
        )
        return cls(validation, users, seen, relevant)

    def metrics(self, model: Recommender) -> dict[str, float]:
        """Return RMSE and MAE in stars and the `full` ranking metrics (threshold 0).

        The candidates are all movies but the user's train ones. At most 10,000 users are ranked,
        and no more than 250 million scores.

        Raises:
            NonFiniteError: a score is NaN or infinite: the last update blew the weights up.

        """
        part = self.ratings
        error = (model.predict(part.user, part.movie) - part.rating).astype(np.float64)
        ranking = UserRanking.joined(list(self._rankings(model))).summary()
        return {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "ndcg": ranking["ndcg_at_10"],
            "precision": ranking["precision_at_10"],
            "recall": ranking["recall_at_10"],
        }

    def _rankings(self, model: Recommender) -> Iterator[UserRanking]:
        size = max(1, CELLS_AT_ONCE // max(1, self.seen.shape[1]))
        for start in range(0, len(self.users), size):
            rows = slice(start, start + size)
            scores = model.score(self.users[rows])
            if not np.isfinite(scores).all():
                raise NonFiniteError(
                    "The scores of the validation users became NaN or infinite at the end of an "
                    "epoch.",
                    hint="Lower learning_rate or set gradient_clip to 1.",
                )
            yield ranking_at_k(scores, self.seen[rows], self.relevant[rows], 10)


def validation_metrics(
    model: Recommender, *, dataset: Dataset, train: Interactions, validation: Interactions
) -> dict[str, float]:
    """Return `Validation.metrics` of these parts."""
    return Validation.of(dataset, train, validation).metrics(model)
