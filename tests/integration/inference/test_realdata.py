"""Newcomers and explanations on MovieLens 100K, of a model trained for a few steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion
from movierec.inference.newcomers import FEATURES, known_ratings, recommender_for, without
from movierec.metadata import VersionMetadata
from movierec.models.factory import GRAPHSAGE, load_recommender
from movierec.models.graphsage.hyperparameters import hyperparameters
from movierec.models.graphsage.user_encoder import UserEncoder
from movierec.models.residuals import KERNEL
from tests.support.sage_cases import fit, parts_of
from tests.unit.inference.test_newcomers import answers

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


@pytest.fixture(scope="module")
def version(ml_100k: Dataset) -> LoadedVersion:
    """The default preset after two epochs, as it would be kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    done = fit(hyperparameters("default", epochs=2), ml_100k)
    known, _ = parts_of(ml_100k)
    arrays = done.recommender(ml_100k, known).corrected(KERNEL).arrays()
    torch.set_num_threads(threads)
    metadata = VersionMetadata.of(
        {
            "model": GRAPHSAGE,
            "hyperparameters": done.model.config.model_dump(),
            "mean_rating": done.model.sizes.mean_rating,
        }
    )
    inductive = UserEncoder.of(arrays, metadata, known, (ml_100k.n_users, ml_100k.n_movies))
    model = load_recommender(GRAPHSAGE, arrays)
    return LoadedVersion("v1.0.0", model, ml_100k, known, metadata, inductive, done.preprocessor)


def test_fifty_users_who_come_as_newcomers_get_the_versions_own_answers(version):
    data = version.dataset
    for user in np.random.default_rng(0).choice(data.n_users, 50, replace=False).tolist():
        person = version.person(str(data.users.ids[user]))
        stars = dict(zip(data.movies.ids[person.seen], person.stars.tolist(), strict=True))
        facts = data.user_frame.iloc[user]
        new = version.newcomer(stars, {name: facts[name] for name in FEATURES})
        assert new.reason == "newcomer"
        for ours, graph in zip(
            answers(new.recommender, 0, data.n_movies),
            answers(version.recommender, user, data.n_movies),
            strict=True,
        ):
            np.testing.assert_allclose(ours, graph, atol=1e-5)


def test_effects_hold_for_somebody_with_very_many_ratings(version):
    counts = np.bincount(version.known.user)
    user = int(counts.argmax())
    assert counts[user] > 500
    person = version.person(str(version.dataset.users.ids[user]))
    ratings = known_ratings(version, person)
    features = version.preprocessor.users(version.dataset.user_frame.iloc[[user]])
    target = version.recommend(person.user_id, 1)[0].movie_id
    at = version.dataset.movies.index(target)

    def asked_anew(dropped: list[str]) -> tuple[float, float]:
        rest = without(ratings, version.dataset.movies.indices(dropped))
        scores, stars = answers(
            recommender_for(version, rest, features), 0, version.dataset.n_movies
        )
        return float(scores[at]), float(stars[at])

    found = version.explain(person, target)
    score, stars = asked_anew([])
    assert len(found.causes) == 5
    for cause in (*found.causes, *found.against):
        less, lower = asked_anew([cause.movie_id])
        assert cause.effect == pytest.approx(score - less, abs=1e-5)
        assert cause.stars_effect == pytest.approx(stars - lower, abs=1e-5)
    together, _ = asked_anew([cause.movie_id for cause in found.causes])
    assert found.together == pytest.approx(score - together, abs=1e-5)
