"""What every recommender can do, whatever it is inside."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions

__all__ = ["Arrays", "Estimator", "PredictsAtTime", "PredictsDistribution", "Recommender"]

Arrays = dict[str, FloatArray | IntArray]


@runtime_checkable
class Recommender(Protocol):
    """A fitted model over users 0…n_users-1 and movies 0…n_movies-1.

    Made of plain arrays: serving one needs neither torch nor the database.
    """

    @property
    def n_users(self) -> int:
        """Number of users."""
        ...

    @property
    def n_movies(self) -> int:
        """Number of movies."""
        ...

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars for pairs, clipped to the scale.

        Shapes: user, movie: (n,) -> (n,). NaN where the model does not predict ratings.
        """
        ...

    def score(self, users: IntArray) -> FloatArray:
        """Return ranking scores of every movie, higher is better; seen movies included.

        Shapes: users: (n,) -> (n, n_movies).
        """
        ...

    def with_interactions(self, ratings: Interactions) -> Recommender:
        """Return the model that also knows these ratings, without training again.

        A model that cannot use them returns itself.
        """
        ...

    def arrays(self) -> Arrays:
        """Return what `from_arrays` needs to bring the model back: name -> plain array."""
        ...


@runtime_checkable
class PredictsDistribution(Protocol):
    """A recommender that may also say how likely every rating is."""

    @property
    def has_distribution(self) -> bool:
        """Whether this one does: it depends on how it was trained."""
        ...

    def rating_distribution(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return the probability of every rating on the scale, lowest first.

        Shapes: user, movie: (n,) -> (n, L); rows sum to 1.
        """
        ...


@runtime_checkable
class PredictsAtTime(Protocol):
    """A recommender whose predicted rating may depend on when the rating is given.

    What people will like is not asked at a time, so ranking knows none.
    """

    @property
    def uses_timestamps(self) -> bool:
        """Whether this one's does: it depends on how it was trained and on the data."""
        ...

    def predict_at(self, user: IntArray, movie: IntArray, timestamp: IntArray) -> FloatArray:
        """Return the stars of ratings given at these times in seconds, clipped to the scale.

        Shapes: user, movie, timestamp: (n,) -> (n,).
        """
        ...

    def rating_distribution(
        self, user: IntArray, movie: IntArray, timestamp: IntArray | None = None
    ) -> FloatArray:
        """Return the probability of every rating at these times, (n,) each -> (n, L)."""
        ...


class Estimator(Protocol):
    """Something that makes a `Recommender` out of training ratings."""

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> Recommender:
        """Fit on the training part alone; `dataset` gives sizes, features and the scale."""
        ...
