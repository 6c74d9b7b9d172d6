"""Features: learnt from the train part alone, whole where columns or values are missing."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale
from movierec.errors import ArtifactError
from movierec.models.graphsage.features import AGE_BANDS, YEAR_BANDS, FeaturePreprocessor
from movierec.registry.safe_pickle import safe_load
from tests.support.factories import make_dataset


def dataset_of(users: dict, movies: dict, rated: list[tuple[int, int]]) -> Dataset:
    """Make a data set with these columns, one list per column, and a rating of 3 per pair."""
    user_frame, movie_frame = pd.DataFrame(users), pd.DataFrame(movies)
    user_ids = [f"u{i}" for i in range(len(user_frame))]
    movie_ids = [f"m{i}" for i in range(len(movie_frame))]
    user, movie = (np.array(side, np.int64) for side in zip(*rated, strict=True))
    return Dataset(
        name="features",
        fingerprint="",
        scale=RatingScale(1.0, 5.0, 1.0),
        users=IdMap(user_ids, kind="user"),
        movies=IdMap(movie_ids, kind="movie"),
        ratings=Interactions(user, movie, np.full(len(user), 3, np.float32)),
        user_frame=user_frame.assign(**{Columns.USER: user_ids}),
        movie_frame=movie_frame.assign(**{Columns.MOVIE: movie_ids}),
    )


@pytest.fixture
def dataset() -> Dataset:
    """User 2 and movie 2 are outside the train part, with values unlike the others'."""
    return dataset_of(
        {
            "age": [20.0, 40.0, 1000.0, np.nan],
            "gender": ["F", "M", "X", None],
            "occupation": ["artist", "student", "astronaut", None],
        },
        {
            "year": [1990.0, 1994.0, 1700.0, np.nan],
            "genres": ["Drama|Horror", "Comedy", "Western|Drama", ""],
        },
        [(0, 0), (1, 1), (0, 1), (3, 3)],
    )


def fitted(dataset: Dataset, *, bands: bool = False) -> FeaturePreprocessor:
    return FeaturePreprocessor(bands).fit(dataset, dataset.ratings)


def test_values_are_scaled_and_listed_by_hand(dataset):
    preprocessor = fitted(dataset)
    users = preprocessor.users(dataset.user_frame)
    movies = preprocessor.movies(dataset.movie_frame)
    # columns: age, F, M, artist, student
    expected_users = [
        [-1, 1, 0, 1, 0],
        [1, 0, 1, 0, 1],
        [(1000 - 30) / 10, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    # columns: year, Comedy, Drama, Horror
    expected_movies = [
        [-1, 0, 1, 1],
        [1, 1, 0, 0],
        [(1700 - 1992) / 2, 0, 1, 0],
        [0, 0, 0, 0],
    ]
    np.testing.assert_allclose(users, expected_users, rtol=1e-6)
    np.testing.assert_allclose(movies, expected_movies, rtol=1e-6)
    assert users.dtype == movies.dtype == np.float32


def test_bands_are_one_hot_and_empty_where_unknown(dataset):
    plain, banded = fitted(dataset), fitted(dataset, bands=True)
    users, movies = banded.users(dataset.user_frame), banded.movies(dataset.movie_frame)
    n_ages, n_years = len(AGE_BANDS) + 1, len(YEAR_BANDS) + 1
    assert users[:, 1 : 1 + n_ages].argmax(1).tolist()[:3] == [1, 3, 6]
    assert users[:, 1 : 1 + n_ages].sum(1).tolist() == [1, 1, 1, 0]
    assert movies[:, 1 : 1 + n_years].argmax(1).tolist()[:3] == [3, 3, 0]
    assert movies[:, 1 : 1 + n_years].sum(1).tolist() == [1, 1, 1, 0]
    without = np.delete(users, np.s_[1 : 1 + n_ages], axis=1)
    np.testing.assert_array_equal(without, plain.users(dataset.user_frame))


def test_nothing_outside_the_train_part_is_learnt(dataset):
    other = replace(
        dataset,
        user_frame=dataset.user_frame.assign(
            age=[20.0, 40.0, 3.0, np.nan], occupation=["artist", "student", "miner", None]
        ),
        movie_frame=dataset.movie_frame.assign(
            year=[1990.0, 1994.0, 2024.0, np.nan], genres=["Drama|Horror", "Comedy", "Noir", ""]
        ),
    )
    assert fitted(other, bands=True).state() == fitted(dataset, bands=True).state()
    # were it fitted on everybody, the strangers would show
    everybody = np.arange(4)
    learnt = Interactions(everybody, everybody, np.ones(4, np.float32))
    leaky = FeaturePreprocessor(bands=True).fit(dataset, learnt).state()
    assert leaky != fitted(dataset, bands=True).state()


def test_the_caller_s_frames_are_left_alone(dataset):
    users, movies = dataset.user_frame.copy(), dataset.movie_frame.copy()
    preprocessor = fitted(dataset, bands=True)
    preprocessor.users(dataset.user_frame)
    preprocessor.movies(dataset.movie_frame)
    pd.testing.assert_frame_equal(dataset.user_frame, users)
    pd.testing.assert_frame_equal(dataset.movie_frame, movies)


@pytest.mark.parametrize("bands", [False, True])
def test_a_data_set_without_columns_has_one_constant_feature(bands):
    dataset = make_dataset(features=False)
    preprocessor = fitted(dataset, bands=bands)
    assert (preprocessor.users(dataset.user_frame) == np.ones((dataset.n_users, 1))).all()
    assert (preprocessor.movies(dataset.movie_frame) == np.ones((dataset.n_movies, 1))).all()


def test_columns_that_are_empty_or_never_vary_give_finite_features():
    nothing = [None, None]
    dataset = dataset_of(
        {"age": [np.nan, np.nan], "gender": nothing, "occupation": ["artist", "artist"]},
        {"year": [1990.0, 1990.0], "genres": ["", ""]},
        [(0, 0), (1, 1)],
    )
    preprocessor = fitted(dataset, bands=True)
    users = preprocessor.users(dataset.user_frame)
    movies = preprocessor.movies(dataset.movie_frame)
    assert users[:, -1].tolist() == [1, 1]  # the occupation
    assert not users[:, :-1].any()
    assert not movies[:, 0].any()  # the scaled year
    assert np.isfinite(movies).all()


def test_a_frame_that_lost_a_column_reads_as_unknown(dataset):
    preprocessor = fitted(dataset, bands=True)
    users = preprocessor.users(dataset.user_frame[[Columns.USER]])
    movies = preprocessor.movies(dataset.movie_frame[[Columns.MOVIE]])
    assert users.shape == preprocessor.users(dataset.user_frame).shape
    assert movies.shape == preprocessor.movies(dataset.movie_frame).shape
    assert not users.any()
    assert not movies.any()


def test_a_newcomer_s_numbers_may_come_as_text(dataset):
    preprocessor = fitted(dataset)
    frame = pd.DataFrame({"age": ["40", "unknown"], "gender": ["M", "?"]})
    np.testing.assert_allclose(preprocessor.users(frame), [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("bands", [False, True])
def test_the_state_goes_through_the_safe_unpickler(tmp_path, bands):
    dataset = make_dataset()
    preprocessor = fitted(dataset, bands=bands)
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(pickle.dumps(preprocessor.state()))
    back = FeaturePreprocessor.from_state(safe_load(path, {}))
    assert back == preprocessor
    np.testing.assert_array_equal(
        back.users(dataset.user_frame), preprocessor.users(dataset.user_frame)
    )
    np.testing.assert_array_equal(
        back.movies(dataset.movie_frame), preprocessor.movies(dataset.movie_frame)
    )


def test_of_very_many_values_the_most_frequent_have_columns(monkeypatch):
    monkeypatch.setattr("movierec.models.graphsage.features.MOST_VALUES", 2)
    users = {Columns.OCCUPATION: ["painter", "cook", "cook", "nurse", "nurse"]}
    movies = {Columns.GENRES: ["War|Drama", "Drama|Comedy", "Comedy"]}
    rated = [(user, movie) for user in range(5) for movie in range(3)]
    dataset = dataset_of(users, movies, rated)
    preprocessor = fitted(dataset)
    assert preprocessor.vocabularies[Columns.OCCUPATION] == ["cook", "nurse"]
    assert preprocessor.vocabularies[Columns.GENRES] == ["Comedy", "Drama"]
    found = preprocessor.users(dataset.user_frame)
    assert found.tolist() == [[0, 0], [1, 0], [1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("state", [None, [], {}, {"bands": True}, {"bands": 1, "scales": {}}])
def test_a_strange_state_is_refused(state):
    with pytest.raises(ArtifactError):
        FeaturePreprocessor.from_state(state)
