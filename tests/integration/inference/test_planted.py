"""Users who like one genre alone: they get it, newcomers too, and the explanation names it."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion, load_version
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.factories import assemble
from tests.support.project import project_in, train_version
from tests.support.states import add_dataset

pytestmark = pytest.mark.slow

GENRES = ("Comedy", "Drama", "Horror", "War")
N_USERS, N_MOVIES, EACH = 120, 160, 14  # 40 movies of each genre; every user rates 14 of theirs


def one_genre_each(seed: int = 0) -> Dataset:
    """Four crowds: each watches movies of its own genre alone, and likes most of them."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        own = np.arange(user % 4, N_MOVIES, 4)
        rows += [(user, m, rng.integers(3, 6)) for m in rng.choice(own, EACH, replace=False)]
    user, movie, rating = np.array(rows).T
    data = assemble(user, movie, rating, None, N_USERS, N_MOVIES, name="crowds")
    data.movie_frame[Columns.GENRES] = [GENRES[movie % 4] for movie in range(N_MOVIES)]
    return data


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    settings = project_in(tmp_path_factory.mktemp("planted"), with_data=False)
    with open_store(settings) as store:
        add_dataset(store, one_genre_each())
    return load_version(trained(settings), settings)


def trained(settings: Settings) -> str:
    # how well liked movies are rated is noise here; what is watched is not
    values = {"epochs": 20, "hidden_dim": 32, "ranking_dim": 32, "monitor": "val_ndcg_10"}
    return train_version(settings, "default", dataset="crowds", hyperparameters=values).name


def genre_of(user: str) -> str:
    return GENRES[int(user[1:]) % 4]


def test_known_users_get_their_genre(version):
    for user in ("u0", "u1", "u2", "u3", "u50", "u71", "u98", "u119"):
        genres = [line.genres for line in version.recommend(user, 10)]
        assert sum(genre_of(user) in each for each in genres) >= 9


@pytest.mark.parametrize("place", range(4), ids=GENRES)
def test_newcomers_get_the_genre_they_rate(version, place):
    given = {f"m{movie}": 5.0 for movie in range(place, 20, 4)}
    genres = [line.genres for line in version.recommend_for_new_user(given, k=10)]
    assert sum(GENRES[place] in each for each in genres) >= 9


def test_the_explanation_names_the_genre_and_ratings_of_it(version):
    for user in ("u0", "u1", "u2", "u3"):
        for line in version.recommend(user, 3):
            found = version.explain(user, line.movie_id)
            assert found.shared_genres[0] == (genre_of(user), 1.0)
            assert f"100% of what they liked is {genre_of(user)} too" in found.sentence
            assert found.causes
            assert {cause.shared_genres for cause in found.causes} == {(genre_of(user),)}


def test_without_their_ratings_the_movie_would_not_lead(version):
    line = version.recommend("u2", 1)[0]
    found = version.explain("u2", line.movie_id)
    assert found.rank == 1
    assert found.rank_without > 10
