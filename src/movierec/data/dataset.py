"""A rating data set in memory: frozen, integer ids, source order kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.arrays import Grouping, group
from movierec.errors import DataError, NotFoundError

if TYPE_CHECKING:
    from scipy import sparse

__all__ = [
    "Dataset",
    "FloatArray",
    "IdMap",
    "IntArray",
    "Interactions",
    "RatingScale",
    "fingerprint_of",
]

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RatingScale:
    """Lowest and highest rating and the step between two neighbours, in stars."""

    low: float
    high: float
    step: float

    @property
    def levels(self) -> npt.NDArray[np.float32]:
        """Every rating on the scale, lowest first."""
        count = round((self.high - self.low) / self.step) + 1
        return np.linspace(self.low, self.high, count, dtype=np.float32)

    def clip(self, ratings: npt.NDArray[np.floating]) -> FloatArray:
        """Return the ratings limited to the scale."""
        clipped: FloatArray = np.clip(ratings, self.low, self.high).astype(np.float32, copy=False)
        return clipped


class IdMap:
    """One frozen map between external ids (strings) and indices 0…n-1."""

    def __init__(self, ids: Iterable[str], *, kind: str) -> None:
        self.kind = kind
        self.ids: npt.NDArray[np.object_] = np.array([str(i) for i in ids], dtype=object)
        self._index = {external: index for index, external in enumerate(self.ids)}
        if len(self._index) != len(self.ids):
            raise DataError(f"The {kind} ids are not unique.")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, external: object) -> bool:
        return str(external) in self._index

    def index(self, external: str | int) -> int:
        """Return the index of one id; NotFoundError when there is none."""
        try:
            return self._index[str(external)]
        except KeyError:
            example = self.ids[0] if len(self.ids) else "none"
            raise NotFoundError(
                f"There is no {self.kind} {str(external)!r} in this data set.",
                hint=f"It has {len(self.ids)} {self.kind}s, {example!r} for one.",
            ) from None

    def indices(self, external: Sequence[str]) -> IntArray:
        """Return the indices of ids, all of them known."""
        return np.fromiter((self.index(e) for e in external), np.int64, len(external))

    @cached_property
    def sha256(self) -> str:
        """Hash over the ids in order."""
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Interactions:
    """Ratings as parallel arrays of equal length, in source order.

    Shapes:
        user, movie: (n,) int64 indices; rating: (n,) float32 stars;
        timestamp: (n,) int64 seconds, or None when the source has none.

    `groupings` are those by "user" and "movie", once they are known.
    """

    user: IntArray
    movie: IntArray
    rating: npt.NDArray[np.float32]
    timestamp: IntArray | None = None
    groupings: dict[str, Grouping] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for array in (self.user, self.movie, self.rating, self.timestamp):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.rating)

    def take(self, positions: IntArray) -> Interactions:
        """Return the ratings at these positions, in the order given."""
        time = None if self.timestamp is None else self.timestamp[positions]
        return Interactions(
            self.user[positions], self.movie[positions], self.rating[positions], time
        )

    def among(
        self, users: IntArray, n_users: int, *, without: IntArray | None = None
    ) -> Interactions:
        """Return the ratings of some of `n_users`, whose places in `users` are then their indices.

        `users` are in ascending order; `without`: positions of ratings that are left out.
        """
        is_one = np.zeros(n_users, bool)
        is_one[users] = True
        theirs = is_one[self.user]
        if without is not None:
            theirs[without] = False
        found = self.take(np.flatnonzero(theirs))
        return replace(found, user=(np.cumsum(is_one) - 1)[found.user])

    def grouped(self, name: str, size: int) -> Grouping:
        """Return the grouping by "user" or "movie", of which there are `size`; made once."""
        if name not in self.groupings:
            self.groupings[name] = group(getattr(self, name), size)
        return self.groupings[name]

    def matrix(self, n_users: int, n_movies: int) -> sparse.csr_matrix:
        """Return the ratings as a (n_users, n_movies) CSR matrix of float32 stars."""
        from scipy import sparse

        return sparse.csr_matrix(
            (self.rating, (self.user, self.movie)), shape=(n_users, n_movies), dtype=np.float32
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A whole data set: ratings, who rated, what was rated.

    `user_frame` and `movie_frame` have one row per index and the columns of
    `Columns.USERS` / `Columns.MOVIES` that the source has, the id always among them.
    """

    name: str
    fingerprint: str
    scale: RatingScale
    users: IdMap
    movies: IdMap
    ratings: Interactions
    user_frame: pd.DataFrame
    movie_frame: pd.DataFrame
    source: str = field(default="")

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.users)

    @property
    def n_movies(self) -> int:
        """Number of movies, those nobody rated included."""
        return len(self.movies)

    @property
    def n_ratings(self) -> int:
        """Number of ratings."""
        return len(self.ratings)

    @property
    def by_user(self) -> Grouping:
        """Which ratings each user gave."""
        return self.ratings.grouped("user", self.n_users)

    @property
    def by_movie(self) -> Grouping:
        """Which ratings each movie got."""
        return self.ratings.grouped("movie", self.n_movies)

    @cached_property
    def titles(self) -> list[str]:
        """Title per movie index; the id where the source has no titles."""
        if Columns.TITLE not in self.movie_frame:
            return [str(i) for i in self.movies.ids]
        titles = self.movie_frame[Columns.TITLE]
        return [
            str(title) if isinstance(title, str) and title else f"Movie {movie}"
            for title, movie in zip(titles, self.movies.ids, strict=True)
        ]

    @cached_property
    def genre_matrix(self) -> npt.NDArray[np.float32]:
        """Multi-hot genres, (n_movies, n_genres); zero columns when the source has none."""
        if Columns.GENRES not in self.movie_frame:
            return np.zeros((self.n_movies, 0), np.float32)
        return genre_dummies(self.movie_frame[Columns.GENRES]).to_numpy(np.float32)


def genre_dummies(genres: pd.Series) -> pd.DataFrame:
    """Return one 0/1 column per genre, in alphabetical order."""
    dummies = genres.fillna("").astype(str).str.get_dummies(sep="|")
    # on Arrow-backed strings pandas counts the empty text as a genre of its own
    return dummies.drop(columns="", errors="ignore")


def fingerprint_of(users: IdMap, movies: IdMap, ratings: Interactions) -> str:
    """SHA-256 over ids, ratings, times and their order: equal data, equal fingerprint."""
    digest = hashlib.sha256()
    digest.update(users.sha256.encode() + movies.sha256.encode())
    # without a copy: hashlib reads the arrays where they lie
    digest.update(np.ascontiguousarray(ratings.user, "<i8").data)
    digest.update(np.ascontiguousarray(ratings.movie, "<i8").data)
    digest.update(np.ascontiguousarray(ratings.rating, "<f4").data)
    if ratings.timestamp is not None:
        digest.update(np.ascontiguousarray(ratings.timestamp, "<i8").data)
    return digest.hexdigest()
