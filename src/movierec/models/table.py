"""The serving form of a model whose predictions are no product of vectors: all of them."""

from __future__ import annotations

from dataclasses import dataclass

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError, TrainingError
from movierec.models.protocol import Arrays
from movierec.models.serving import NamedArrays, floats, read_only, scale_array, scale_from

__all__ = ["TABLE_MAX_CELLS", "RatingTable", "require_table_size"]

TABLE_MAX_CELLS = 100_000_000  # 4 bytes each: 400 MB


@dataclass(frozen=True, eq=False)
class RatingTable:
    """A predicted rating for every user and movie. Ranks by the same numbers, unclipped.

    Shapes:
        stars: (n_users, n_movies) float32.

    Raises:
        ArtifactError: the table has no two dimensions.

    """

    stars: FloatArray
    scale: RatingScale

    def __post_init__(self) -> None:
        if self.stars.ndim != 2:
            raise ArtifactError(
                f"The table of ratings has the shape {self.stars.shape}, not (users, movies)."
            )
        object.__setattr__(self, "stars", read_only(self.stars))

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.stars)

    @property
    def n_movies(self) -> int:
        """Number of movies."""
        return int(self.stars.shape[1])

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars, clipped to the scale. Shapes: (n,), (n,) -> (n,)."""
        return self.scale.clip(self.stars[user, movie])

    def score(self, users: IntArray) -> FloatArray:
        """Return every movie's predicted rating, unclipped. Shapes: (n,) -> (n, n_movies)."""
        return self.stars[users]

    def with_interactions(self, ratings: Interactions) -> RatingTable:  # noqa: ARG002
        """Return itself: predictions are looked up."""
        return self

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        return {"stars": self.stars, "scale": scale_array(self.scale)}

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> RatingTable:
        """Bring a model back from `arrays()`; ArtifactError when one is missing or misfits."""
        return cls(floats(arrays, "stars"), scale_from(arrays))


def require_table_size(n_users: int, n_movies: int) -> None:
    """Raise TrainingError when a table would have more than TABLE_MAX_CELLS cells."""
    if n_users * n_movies > TABLE_MAX_CELLS:
        raise TrainingError(
            f"A table of {n_users:,} users and {n_movies:,} movies has "
            f"{n_users * n_movies:,} cells; the limit is {TABLE_MAX_CELLS:,}.",
            hint="Use a smaller data set or another model.",
        )
