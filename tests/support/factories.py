"""Small data sets with known properties, made from a seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale, fingerprint_of

GENRES = ("Action", "Comedy", "Drama", "Horror")
OCCUPATIONS = ("artist", "engineer", "student")


def make_dataset(
    n_users: int = 40,
    n_movies: int = 30,
    density: float = 0.3,
    *,
    seed: int = 0,
    timestamps: bool = True,
    features: bool = True,
) -> Dataset:
    """Make ratings on 1…5 that follow a planted two-factor taste, each user with at least one."""
    rng = np.random.default_rng(seed)
    taste, trait = rng.normal(size=(n_users, 2)), rng.normal(size=(n_movies, 2))
    chosen = rng.random((n_users, n_movies)) < density
    chosen[np.arange(n_users), rng.integers(0, n_movies, n_users)] = True
    user, movie = np.nonzero(chosen)
    order = rng.permutation(len(user))
    user, movie = user[order].astype(np.int64), movie[order].astype(np.int64)
    noise = rng.normal(scale=0.3, size=len(user))
    raw = 3.5 + (taste[user] * trait[movie]).sum(1) + noise
    rating = np.clip(np.round(raw), 1, 5).astype(np.float32)
    time = 880_000_000 + rng.permutation(len(user)) * 60 if timestamps else None
    return assemble(user, movie, rating, time, n_users, n_movies, rng if features else None)


def assemble(user, movie, rating, time, n_users, n_movies, rng=None, name="planted") -> Dataset:
    users = IdMap([f"u{i}" for i in range(n_users)], kind="user")
    movies = IdMap([f"m{i}" for i in range(n_movies)], kind="movie")
    user_frame = pd.DataFrame({Columns.USER: users.ids})
    movie_frame = pd.DataFrame({Columns.MOVIE: movies.ids})
    if rng is not None:
        user_frame[Columns.AGE] = rng.integers(12, 70, n_users).astype(float)
        user_frame[Columns.GENDER] = rng.choice(["F", "M"], n_users)
        user_frame[Columns.OCCUPATION] = rng.choice(OCCUPATIONS, n_users)
        movie_frame[Columns.TITLE] = [f"Movie {i}" for i in range(n_movies)]
        movie_frame[Columns.YEAR] = rng.integers(1930, 1999, n_movies).astype(float)
        movie_frame[Columns.GENRES] = [
            "|".join(sorted(rng.choice(GENRES, rng.integers(1, 3), replace=False)))
            for _ in range(n_movies)
        ]
    ratings = Interactions(
        np.asarray(user, np.int64),
        np.asarray(movie, np.int64),
        np.asarray(rating, np.float32),
        None if time is None else np.asarray(time, np.int64),
    )
    return Dataset(
        name=name,
        fingerprint=fingerprint_of(users, movies, ratings),
        scale=RatingScale(1.0, 5.0, 1.0),
        users=users,
        movies=movies,
        ratings=ratings,
        user_frame=user_frame,
        movie_frame=movie_frame,
    )
