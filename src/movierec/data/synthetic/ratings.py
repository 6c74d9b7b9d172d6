"""Made-up ratings of the shape of a MovieLens release, of which the best prediction is known.

A user's rating of a movie is

    x = mean + bias_u + bias_i + p_u · q_i + noise,   rounded to the scale and cut at its ends,

with normal latents. Movies share vectors with their genres. Activity is 20 ratings and a
log-normal number above, popularity falls with the square of a movie's rank (fitted to the
releases' medians and most-rated movies), and users choose movies of their own taste more often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from movierec.data.convert import HALF_STARS, WHOLE_STARS
from movierec.data.dataset import IntArray, RatingScale

__all__ = ["GENRES", "SHAPES", "Block", "Shape", "World"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
    "Western",
)  # fmt: skip
FEWEST = 20  # ratings per user: GroupLens leaves users with fewer out
DIMENSIONS = 10
TASTES = 24  # groups of users who choose alike
# in stars: with these, biases and the best prediction lie about as far apart as biases and the
# best published models on the real releases
MEAN, USER_BIAS, MOVIE_BIAS, TASTE, NOISE = 3.3, 0.42, 0.45, 0.48, 0.78
POPULAR_BIAS = 0.12  # stars per unit of a movie's standardised log-popularity
GENRE_SHARE = 0.5  # of the variance of the movies' vectors
CHOOSES_BY_TASTE = 1.2
BLOCK_RATINGS = 500_000
FIRST_SECOND, LAST_SECOND = 820_454_400, 1_697_155_200  # 1996-01-01, 2023-10-13


@dataclass(frozen=True)
class Shape:
    """Sizes of a release; `median` is of the ratings per user, `top` the most of one movie."""

    users: int
    movies: int
    ratings: int
    median: int
    top: int
    scale: RatingScale


SHAPES: dict[str, Shape] = {
    "ml-100k": Shape(943, 1_682, 100_000, 65, 583, WHOLE_STARS),
    "ml-1m": Shape(6_040, 3_883, 1_000_209, 96, 3_428, WHOLE_STARS),
    "ml-10m": Shape(69_878, 10_681, 10_000_054, 69, 34_864, HALF_STARS),
    "ml-25m": Shape(162_541, 62_423, 25_000_095, 71, 81_491, HALF_STARS),
    "ml-32m": Shape(200_948, 87_585, 32_000_204, 73, 102_929, HALF_STARS),
}


@dataclass(frozen=True, eq=False)
class Block:
    """All ratings of some neighbouring users, by user and movie.

    Shapes: all (n,); user, movie: indices from 0; timestamp: seconds; best: the expected rating
    given the latents, the prediction of least squared error; variance: of the rating around it.
    """

    user: IntArray
    movie: IntArray
    rating: npt.NDArray[np.float32]
    timestamp: IntArray
    best: Float64Array
    variance: Float64Array


class World:
    """The latents of all users and movies, and the ratings that follow from them.

    The same shape and seed give the same world, whatever part of it is asked for.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.seed = seed
        movies, users = self._random(0), self._random(1)
        self._make_movies(movies)
        self._make_users(users)

    def _random(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _make_movies(self, random: np.random.Generator) -> None:
        shape = self.shape
        self.has_genre = _genres(random, shape.movies)
        popular = (random.permutation(shape.movies) + shape.ratings / shape.top) ** -2.0
        self.popularity = popular / popular.sum()
        log = np.log(self.popularity)
        known = POPULAR_BIAS * (log - log.mean()) / log.std()
        self.movie_bias = known + random.normal(0, MOVIE_BIAS, shape.movies)
        of_genre = random.normal(0, 1, (len(GENRES), DIMENSIONS))
        shared = self.has_genre @ of_genre / np.sqrt(self.has_genre.sum(1, keepdims=True))
        own = random.normal(0, 1, (shape.movies, DIMENSIONS))
        mixed = np.sqrt(GENRE_SHARE) * shared + np.sqrt(1 - GENRE_SHARE) * own
        self.movie_vector = mixed * (TASTE / np.sqrt(DIMENSIONS))
        gaps = random.integers(1, 4, shape.movies)
        self.movie_id = np.cumsum(gaps)
        self.year = 2023 - np.minimum(random.exponential(22, shape.movies), 100).astype(int)

    def _make_users(self, random: np.random.Generator) -> None:
        n = self.shape.users
        self.user_bias = random.normal(0, USER_BIAS, n)
        centre = random.normal(0, 1, (TASTES, DIMENSIONS))
        self.taste = random.integers(0, TASTES, n)
        self.user_vector = random.normal(0, 1, (n, DIMENSIONS))
        self.user_vector += 0.7 * centre[self.taste]
        self.user_vector /= np.sqrt(1 + 0.7**2)
        self.start = random.integers(FIRST_SECOND, LAST_SECOND, n)
        self.activity = _activity(random, self.shape)
        liked = centre @ self.movie_vector.T / TASTE
        chosen = self.popularity * np.exp(CHOOSES_BY_TASTE * liked)
        self._chances = np.cumsum(chosen, axis=1) / chosen.sum(1, keepdims=True)

    def blocks(self) -> Iterator[Block]:
        """Yield the ratings of all users, some half a million at a time."""
        for number, (first, last) in enumerate(self._bounds):
            yield self._block(self._random(2, number), np.arange(first, last))

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        total = np.cumsum(self.activity)
        cuts = np.searchsorted(total, np.arange(BLOCK_RATINGS, total[-1], BLOCK_RATINGS)) + 1
        edges = np.unique(np.concatenate([[0], cuts, [self.shape.users]]))
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def _block(self, random: np.random.Generator, users: IntArray) -> Block:
        user, movie, rank = self._choices(random, users)
        x = MEAN + self.user_bias[user] + self.movie_bias[movie]
        x += np.einsum("nd,nd->n", self.user_vector[user], self.movie_vector[movie])
        best, variance = expected(x, NOISE, self.shape.scale)
        scale = self.shape.scale
        steps = np.round((x + random.normal(0, NOISE, len(x)) - scale.low) / scale.step)
        rating = scale.clip(scale.low + scale.step * steps)
        return Block(user, movie, rating, self._times(random, user, rank), best, variance)

    def _choices(
        self, random: np.random.Generator, users: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Return user, movie and place in the user's history of each rating, by user and movie."""
        n_movies, wanted = self.shape.movies, self.activity[users]
        keys, missing = np.zeros(0, np.int64), wanted.copy()
        while missing.any():
            drawn = np.repeat(np.arange(len(users)), np.where(missing, missing * 3 // 2 + 8, 0))
            keys = np.concatenate([keys, drawn * n_movies + self._drawn(random, users[drawn])])
            keys.sort()  # several times as fast as NumPy's unique
            keys = keys[np.diff(keys, prepend=-1) > 0]
            missing = np.maximum(wanted - np.bincount(keys // n_movies, minlength=len(users)), 0)
        row = keys // n_movies
        order = np.lexsort((random.random(len(keys)), row))
        first = np.searchsorted(row, np.arange(len(users)))
        rank = np.empty(len(keys), np.int64)
        rank[order] = np.arange(len(keys)) - first[row]
        kept = rank < wanted[row]
        return users[row[kept]], keys[kept] % n_movies, rank[kept]

    def _drawn(self, random: np.random.Generator, user: IntArray) -> IntArray:
        taste, chance = self.taste[user], random.random(len(user))
        movie = np.empty(len(user), np.int64)
        for group in range(TASTES):
            own = taste == group
            movie[own] = np.searchsorted(self._chances[group], chance[own])
        return np.minimum(movie, self.shape.movies - 1)

    def _times(self, random: np.random.Generator, user: IntArray, rank: IntArray) -> IntArray:
        """Sittings of ratings some twenty seconds apart, with days between them."""
        gap = random.exponential(20, len(user)) + 1
        pause = random.random(len(user)) < 0.05
        gap[pause] += random.exponential(20 * 86_400, int(pause.sum()))
        order = np.lexsort((rank, user))
        passed = np.cumsum(gap[order])
        first = np.searchsorted(user[order], user[order])
        seconds = np.empty(len(user), np.int64)
        seconds[order] = self.start[user[order]] + (passed - passed[first]).astype(np.int64)
        return seconds


def expected(
    x: Float64Array, noise: float, scale: RatingScale
) -> tuple[Float64Array, Float64Array]:
    """Return mean and variance of x + N(0, noise²) rounded to the scale and cut, (n,) each."""
    mean, square = np.full(len(x), scale.low), np.full(len(x), scale.low**2)
    for level in scale.levels[1:].astype(np.float64):
        above = ndtr((x - (level - scale.step / 2)) / noise)
        mean += scale.step * above
        square += (level**2 - (level - scale.step) ** 2) * above
    return mean, square - mean**2


def _genres(random: np.random.Generator, n_movies: int) -> npt.NDArray[np.bool_]:
    """One to three genres per movie, (n_movies, n_genres); some genres are more frequent."""
    frequency = 1.0 / np.arange(2, len(GENRES) + 2)
    frequency = random.permutation(frequency / frequency.sum())
    has = np.zeros((n_movies, len(GENRES)), bool)
    for place in range(3):
        given = np.flatnonzero(random.random(n_movies) < (1.0, 0.6, 0.3)[place])
        has[given, random.choice(len(GENRES), len(given), p=frequency)] = True
    return has


def _activity(random: np.random.Generator, shape: Shape) -> IntArray:
    """Ratings per user, (users,), that sum to the shape's; nobody rates over a third of all."""
    excess = shape.ratings - FEWEST * shape.users
    mean, median = excess / shape.users, shape.median - FEWEST
    drawn = random.lognormal(np.log(median), np.sqrt(2 * np.log(mean / median)), shape.users)
    most = shape.movies // 3 - FEWEST
    drawn = np.minimum(drawn * (excess / drawn.sum()), most)
    while (left := excess - drawn.sum()) > 1:
        drawn = np.minimum(
            drawn * np.where(drawn < most, 1 + left / drawn[drawn < most].sum(), 1), most
        )
    whole = np.floor(drawn).astype(np.int64)
    room = np.flatnonzero(whole < most)
    whole[random.choice(room, excess - int(whole.sum()), replace=False)] += 1
    activity: IntArray = whole + FEWEST
    return activity
