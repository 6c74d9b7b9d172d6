"""Recommendations, their reasons, and similar movies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from movierec.data.dataset import Dataset, Interactions
from movierec.errors import ArtifactError, EvaluationError, NotFoundError
from movierec.inference import LoadedVersion, Recommendation
from movierec.metadata import VersionMetadata
from movierec.models.factors import FactorModel
from movierec.models.factory import make_baseline
from tests.support.factories import assemble, make_dataset

NEW = 3  # a user of the data set without a known rating


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


def version(dataset: Dataset, name: str = "svd", **values: object) -> LoadedVersion:
    ratings = dataset.ratings
    known = ratings.take(np.flatnonzero(ratings.user != NEW))
    model = make_baseline(name, values).fit(dataset, known, seed=1)
    return LoadedVersion("v1.0.0", model, dataset, known, VersionMetadata(model=name))


def test_a_known_user_gets_the_models_best_unseen_movies_with_facts(dataset):
    loaded = version(dataset)
    lines = loaded.recommend("u5", k=4)
    scores = loaded.recommender.score(np.array([5]))[0]
    seen = set(dataset.ratings.movie[dataset.ratings.user == 5].tolist())
    best = [i for i in np.argsort(-scores, kind="stable").tolist() if i not in seen][:4]
    assert [line.movie_id for line in lines] == [f"m{i}" for i in best]
    first, frame = lines[0], dataset.movie_frame.iloc[best[0]]
    assert first == Recommendation(
        rank=1,
        movie_id=f"m{best[0]}",
        title=frame["title"],
        year=int(frame["year"]),
        genres=tuple(frame["genres"].split("|")),
        score=pytest.approx(scores[best[0]]),
        predicted_rating=pytest.approx(np.clip(scores[best[0]], 1, 5)),
        reason="known",
        version="v1.0.0",
    )
    assert [line.rank for line in lines] == [1, 2, 3, 4]


def test_seen_movies_come_back_when_asked_for(dataset):
    loaded = version(dataset)
    everything = loaded.recommend("u5", k=100, exclude_seen=False)
    assert len(everything) == dataset.n_movies
    assert [line.score for line in everything] == sorted(
        (line.score for line in everything), reverse=True
    )


def test_an_unknown_user_gets_the_most_popular_movies(dataset):
    loaded = version(dataset)
    lines = loaded.recommend("nobody", k=5)
    assert {line.reason for line in lines} == {"fallback"}
    assert [line.score for line in lines] == sorted(loaded.popularity, reverse=True)[:5]
    assert {line.predicted_rating for line in lines} == {None}


def test_a_user_without_ratings_gets_what_the_model_has_to_say(dataset):
    lines = version(dataset, "biases").recommend(f"u{NEW}", k=3)
    assert {line.reason for line in lines} == {"no-ratings"}
    assert all(1 <= line.predicted_rating <= 5 for line in lines)


def test_a_user_about_whom_the_model_can_say_nothing_gets_the_fallback(dataset):
    lines = version(dataset, "ease").recommend(f"u{NEW}", k=3)
    assert {line.reason for line in lines} == {"fallback"}
    assert lines == version(dataset).recommend("nobody", k=3)


def test_equal_scores_are_sorted_by_popularity(dataset):
    loaded = version(dataset, "mean")
    lines = loaded.recommend("u5", k=30, exclude_seen=False)
    counts = [loaded.popularity[dataset.movies.index(line.movie_id)] for line in lines]
    assert counts == sorted(counts, reverse=True)
    assert {line.reason for line in lines} == {"known"}


def test_a_model_that_predicts_no_ratings_says_so(dataset):
    assert version(dataset, "ease").recommend("u5", k=1)[0].predicted_rating is None


def test_score_and_predict_answer_for_the_movies_asked(dataset):
    loaded = version(dataset)
    scores = loaded.recommender.score(np.array([5]))[0]
    np.testing.assert_array_equal(loaded.score("u5", ["m7", "m0"]), scores[[7, 0]])
    np.testing.assert_allclose(
        loaded.predict("u5", ["m7", "m0"]), np.clip(scores[[7, 0]], 1, 5), rtol=1e-6
    )


@pytest.mark.parametrize("ask", ["score", "predict"])
@pytest.mark.parametrize("whom", [("nobody", ["m1"]), ("u1", ["m1", "nothing"])])
def test_unknown_ids_are_named(dataset, ask, whom):
    with pytest.raises(NotFoundError, match=r"nobody|nothing"):
        getattr(version(dataset), ask)(*whom)


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_has_a_length(dataset, k):
    loaded = version(dataset)
    for ask in (loaded.recommend, loaded.similar):
        with pytest.raises(EvaluationError, match="list length"):
            ask("m1", k)


def test_similar_movies_by_the_cosine_of_their_vectors(dataset):
    vectors = np.random.default_rng(0).normal(size=(dataset.n_movies, 3)).astype(np.float32)
    vectors[4] = 3 * vectors[9]
    vectors[6] = 0
    model = FactorModel(
        dataset.n_users, dataset.n_movies, dataset.scale,
        ranking_user=np.zeros((dataset.n_users, 3)), ranking_movie=vectors,
    )  # fmt: skip
    loaded = LoadedVersion("v1.0.0", model, dataset, dataset.ratings)
    lines = loaded.similar("m9", k=100)
    assert (lines[0].movie_id, lines[0].basis, lines[0].rank) == ("m4", "vectors", 1)
    assert lines[0].similarity == pytest.approx(1)
    assert len(lines) == dataset.n_movies - 2  # neither itself nor the one without a vector
    assert loaded.similar("m6") == []


def test_similar_movies_by_shared_raters_where_there_are_no_vectors(dataset):
    lines = version(dataset, "ease").similar("m2", k=3)
    known = version(dataset, "ease").known
    raters = [set(known.user[known.movie == movie].tolist()) for movie in range(dataset.n_movies)]
    expected = {
        f"m{i}": len(raters[2] & raters[i]) / np.sqrt(len(raters[2]) * len(raters[i]))
        for i in range(dataset.n_movies)
        if i != 2
    }
    assert lines[0].basis == "ratings"
    assert [line.similarity for line in lines] == pytest.approx(
        sorted(expected.values(), reverse=True)[:3]
    )
    assert all(line.similarity == pytest.approx(expected[line.movie_id]) for line in lines)


def test_data_without_movie_facts_and_unknown_years_still_works():
    user, movie = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    bare = assemble(user, movie, np.array([5, 4, 3, 2]), None, 2, 3)
    model = make_baseline("popular").fit(bare, bare.ratings, seed=0)
    line = LoadedVersion("v1.0.0", model, bare, bare.ratings).recommend("u0")[0]
    assert (line.movie_id, line.title, line.year, line.genres) == ("m2", "m2", None, ())
    frame = bare.movie_frame.assign(title=["A", "", "C"], year=np.nan, genres="")
    bare = replace(bare, movie_frame=frame)
    line = LoadedVersion("v1.0.0", model, bare, bare.ratings).recommend("u0")[0]
    assert (line.title, line.year, line.genres) == ("C", None, ())


def test_a_model_of_another_data_set_is_refused(dataset):
    model = version(dataset).recommender
    other = make_dataset(n_users=41)
    with pytest.raises(ArtifactError, match="41"):
        LoadedVersion("v1.0.0", model, other, other.ratings)


def test_known_ratings_are_what_is_excluded(dataset):
    loaded = version(dataset)
    nothing = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    blank = LoadedVersion("v1.0.0", loaded.recommender, dataset, nothing)
    assert len(blank.recommend("u5", k=100)) == dataset.n_movies
