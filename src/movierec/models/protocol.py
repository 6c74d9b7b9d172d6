"""What every recommender can do, whatever it is inside."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions

__all__ = ["Arrays", "Estimator", "PredictsDistribution", "Recommender"]

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

    def observe(self, ratings: Interactions) -> Recommender:
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


class Estimator(Protocol):
    """Something that makes a `Recommender` out of training ratings."""

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> Recommender:
        """Fit on the training part alone; `dataset` gives sizes, features and the scale."""
        ...
