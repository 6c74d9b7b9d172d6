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


def above_mean(version: LoadedVersion, ratings: dict[str, float], movie_id: str) -> float:
    """Score above the mean movie's of somebody who comes with these ratings."""
    scores = version.scores_of(version.newcomer(ratings)).astype(np.float64)
    return float(scores[version.dataset.movies.index(movie_id)] - scores.mean())


def effects_of(version: LoadedVersion, user: str, movie_id: str) -> dict[str, float]:
    """What each rating of a user adds to a movie's score: asked again without it."""
    person = version.person(user)
    rated = [str(movie) for movie in version.dataset.movies.ids[person.seen]]
    ratings = dict(zip(rated, person.stars.tolist(), strict=True))
    whole = above_mean(version, ratings, movie_id)
    rest = {movie: {m: s for m, s in ratings.items() if m != movie} for movie in ratings}
    return {movie: whole - above_mean(version, rest[movie], movie_id) for movie in ratings}


def test_the_explanation_names_the_genre_and_ratings_with_their_exact_effects(version):
    # Which ratings raise a score is up to the training: where all say the same, the others stand
    # in for the one left out. With 3 seeds, 3 to 9 of 100 explanations name none, the same ones
    # with AVX-512, AVX2 and neither. What is named is exact: rounding moved effects of 1e-4 to
    # 3e-2 by 7e-7 at most.
    for user in ("u0", "u1", "u2", "u3"):
        for line in version.recommend(user, 3):
            found = version.explain(user, line.movie_id)
            assert found.shared_genres[0] == (genre_of(user), 1.0)
            assert f"100% of what they liked is {genre_of(user)} too" in found.sentence
            effects = effects_of(version, user, line.movie_id)
            named = (*found.causes, *found.against)
            assert named
            assert {cause.shared_genres for cause in named} == {(genre_of(user),)}
            assert {c.movie_id: c.effect for c in named} == pytest.approx(
                {c.movie_id: effects[c.movie_id] for c in named}, rel=0, abs=1e-5
            )
            largest = sum(sorted(effects.values(), reverse=True)[: len(found.causes)])
            assert sum(c.effect for c in found.causes) == pytest.approx(largest, abs=1e-4)
            assert found.causes or max(effects.values()) < 1e-5
            assert all(cause.title in found.sentence for cause in found.causes[:3])


def test_without_their_ratings_the_movies_would_not_lead(version):
    # A list for nobody has one of the four genres at its top, and which one is up to the training:
    # with 3 seeds the movie of that one stood at 1 or 2, the last of the four at 121 or 122.
    nobody = version.scores_of(version.newcomer({}))
    places = []
    for user in ("u0", "u1", "u2", "u3"):
        found = version.explain(user, version.recommend(user, 1)[0].movie_id)
        better = nobody > nobody[version.dataset.movies.index(found.movie_id)]
        better[version.person(user).seen] = False
        assert found.rank == 1
        assert found.rank_without == better.sum() + 1
        places.append(found.rank_without)
    assert max(places) > 40
