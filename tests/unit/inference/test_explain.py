"""Explanations are faithful: what is dropped changes the score by what is shown."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.errors import NotFoundError
from movierec.inference import LoadedVersion
from movierec.inference.newcomers import known_ratings, recommender_for, without
from movierec.inference.person import Person
from tests.support.factories import make_dataset
from tests.unit.inference.test_newcomers import CONFIGS, baseline, version_of


def left_out(kept: LoadedVersion, person: Person, movie_ids: list[str], target: str):
    """Score above the mean movie's, and stars, of somebody asked anew without some ratings."""
    at = kept.dataset.movies.index(target)
    rest = without(known_ratings(kept, person), kept.dataset.movies.indices(movie_ids))
    features = np.ones((1, 1), np.float32)
    if kept.preprocessor is not None:
        frame = kept.dataset.user_frame.iloc[[person.index]]
        features = kept.preprocessor.users(frame) if person.features is None else kept.no_features
    model = recommender_for(kept, rest, features)
    scores = model.score(np.zeros(1, np.int64))[0].astype(np.float64)
    stars = model.predict(np.zeros(1, np.int64), np.array([at]))[0]
    return scores[at] - scores.mean(), stars


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("members", [1, 2])
def test_dropping_what_is_named_changes_the_score_by_what_is_shown(config, members):
    kept, _, _ = version_of(config, members=members)
    shown = 0
    for user in ("u2", "u9", "u31"):
        person = kept.person(user)
        target = kept.recommend(user, 1)[0].movie_id
        found = kept.explain(user, target)
        whole, stars = left_out(kept, person, [], target)
        for cause in (*found.causes, *found.against):
            score, other = left_out(kept, person, [cause.movie_id], target)
            assert cause.effect == pytest.approx(whole - score, abs=1e-5)
            if cause.stars_effect is not None:
                assert cause.stars_effect == pytest.approx(stars - other, abs=1e-5)
            shown += 1
        if found.causes:
            together, _ = left_out(kept, person, [c.movie_id for c in found.causes], target)
            assert found.together == pytest.approx(whole - together, abs=1e-5)
        assert all(cause.effect > 0 for cause in found.causes)
        assert all(cause.effect < 0 for cause in found.against)
    assert shown > 6


def test_the_largest_effects_are_named_and_the_rest_is_not():
    kept, _, _ = version_of(CONFIGS["default"])
    person = kept.person("u9")
    target = kept.recommend("u9", 1)[0].movie_id
    whole, _ = left_out(kept, person, [], target)
    effects = {
        movie: whole - left_out(kept, person, [movie], target)[0]
        for movie in map(str, kept.dataset.movies.ids[person.seen])
    }
    found = kept.explain("u9", target, most=3)
    largest = sorted(effects, key=lambda movie: -effects[movie])[:3]
    assert [cause.movie_id for cause in found.causes] == largest


def test_ease_adds_up():
    version = baseline("ease", make_dataset())
    person = version.person("u5")
    target = version.recommend("u5", 1)[0].movie_id
    found = version.explain("u5", target, most=1000)
    whole, _ = left_out(version, person, [], target)
    effects = [cause.effect for cause in (*found.causes, *found.against)]
    if len(effects) == len(person.seen):
        assert sum(effects) == pytest.approx(whole, abs=1e-4)
    score, _ = left_out(version, person, [found.causes[0].movie_id], target)
    assert found.causes[0].effect == pytest.approx(whole - score, abs=1e-5)
    assert found.basis == "left-out"


def test_a_newcomer_is_told_why():
    kept, _, _ = version_of(CONFIGS["default"])
    person = kept.newcomer({"m1": 5.0, "m4": 1.0, "m7": 4.0})
    target = kept.recommend_for(person, 1)[0].movie_id
    found = kept.explain(person, target)
    assert {c.movie_id for c in (*found.causes, *found.against)} <= {"m1", "m4", "m7"}
    assert found.rank == 1
    assert found.rank_without >= 1
    assert found.reason == "newcomer"
    assert found.user_id is None
    for cause in found.causes:
        assert cause.title in found.sentence or cause not in found.causes[:3]


def test_ranks_popularity_and_shared_genres_are_counted():
    kept, _, made = version_of(CONFIGS["default"])
    person, data = kept.person("u9"), made.dataset
    lines = kept.recommend("u9", 4)
    found = kept.explain("u9", lines[3].movie_id)
    assert found.rank == 4
    movie = data.movies.index(found.movie_id)
    raters = set(made.train.user[made.train.movie == movie].tolist())
    assert found.popularity == pytest.approx(len(raters) / data.n_users)
    liked = person.seen[person.stars >= person.stars.mean()]
    for genre, share in found.shared_genres:
        having = [genre in data.movie_frame["genres"][m].split("|") for m in liked]
        assert share == pytest.approx(np.mean(having))
    for cause in found.causes:
        other = data.movies.index(cause.movie_id)
        both = raters & set(made.train.user[made.train.movie == other].tolist())
        assert cause.raters_of_both == len(both)


@pytest.mark.parametrize(
    ("name", "basis"), [("svd", "alike"), ("knn", "alike"), ("biases", "none"), ("popular", "none")]
)
def test_models_that_cannot_leave_out_say_so(name, basis):
    version = baseline(name, make_dataset())
    found = version.explain("u5", version.recommend("u5", 1)[0].movie_id)
    assert found.basis == basis
    assert found.together is None
    assert all(cause.effect is None for cause in found.causes)
    assert bool(found.causes) == (basis == "alike")
    assert found.sentence


def test_a_stranger_gets_popularity_as_the_reason():
    version = baseline("svd", make_dataset())
    found = version.explain("nobody", "m3")
    assert (found.basis, found.reason, found.causes) == ("none", "fallback", ())
    assert "popularity" in found.sentence


def test_an_unknown_movie_is_named():
    with pytest.raises(NotFoundError, match="m99"):
        baseline("svd", make_dataset()).explain("u5", "m99")
