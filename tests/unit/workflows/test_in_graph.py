"""A newcomer in the graph gets what a network with them in its data gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap, Interactions
from movierec.inference import load_version
from movierec.models.graphsage.recommender import SageRecommender, feature_tensors
from movierec.workflows.restore import in_graph, person_in_graph, restore_sage
from tests.unit.inference.test_newcomers import CONFIGS, answers, version_of

RATINGS = {"m1": 5.0, "m4": 1.0, "m7": 4.0, "m12": 5.0, "m20": 2.0}
FEATURES = {"age": 31.0, "gender": "F", "occupation": "artist"}


def with_one_more(data: Dataset) -> Dataset:
    """The data set with the newcomer as its last user."""
    users = IdMap([*data.users.ids, "new"], kind="user")
    row = pd.DataFrame([{Columns.USER: "new", **FEATURES}])
    frame = pd.concat([data.user_frame, row], ignore_index=True)
    return replace(data, users=users, user_frame=frame)


def theirs(data: Dataset, known: Interactions) -> Interactions:
    """All ratings, the newcomer's first: their order must not matter, their time does."""
    movies = data.movies.indices([*RATINGS])
    time = known.timestamp
    return Interactions(
        np.concatenate([np.full(len(movies), data.n_users), known.user]),
        np.concatenate([movies, known.movie]),
        np.concatenate([np.array([*RATINGS.values()], np.float32), known.rating]),
        None if time is None else np.concatenate([np.full(len(movies), time.max()), time]),
    )


def from_scratch(network: SageRecommender, data: Dataset, preprocessor) -> SageRecommender:
    return SageRecommender(
        network.members,
        feature_tensors(preprocessor, with_one_more(data)),
        theirs(data, network.known),
        network.scale,
        network.calibration,
        network.kernel,
    )


def assert_same(person, scratch: SageRecommender) -> None:
    for ours, whole in zip(
        answers(person.recommender, person.index, scratch.n_movies),
        answers(scratch, scratch.n_users - 1, scratch.n_movies),
        strict=True,
    ):
        np.testing.assert_allclose(ours, whole, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("members", [1, 2])
def test_the_graph_with_them_in_it_says_the_same(config, members):
    kept, network, made = version_of(config, members=members)
    person = person_in_graph(kept, network, RATINGS, FEATURES)
    assert_same(person, from_scratch(network, made.dataset, made.preprocessor))


def test_a_version_on_disk_answers_so_too(trained):
    person = in_graph("v1.0.0", trained, RATINGS, FEATURES)
    version = load_version("v1.0.0", trained)
    network = restore_sage("v1.0.0", trained, torch.device("cpu"))
    assert_same(person, from_scratch(network, version.dataset, version.preprocessor))
    lines = version.recommend_for(person, 5)
    assert len(lines) == 5
    assert not {line.movie_id for line in lines} & {*RATINGS}
    assert {line.reason for line in lines} == {"newcomer"}


def test_movies_hear_the_newcomer_which_they_do_not_in_the_fast_answer():
    kept, network, _ = version_of(CONFIGS["default"])
    heard = person_in_graph(kept, network, RATINGS, FEATURES)
    fast = kept.newcomer(RATINGS, FEATURES)
    scores, _ = answers(heard.recommender, 0, kept.dataset.n_movies)
    others, _ = answers(fast.recommender, 0, kept.dataset.n_movies)
    assert 1e-4 < np.abs(scores - others).max() < np.ptp(others)


def test_somebody_without_ratings_is_heard_by_no_movie():
    kept, network, _ = version_of(CONFIGS["default"])
    heard = person_in_graph(kept, network, {}, FEATURES)
    fast = kept.newcomer({}, FEATURES)
    n = kept.dataset.n_movies
    for ours, others in zip(
        answers(heard.recommender, 0, n), answers(fast.recommender, 0, n), strict=True
    ):
        np.testing.assert_allclose(ours, others, atol=1e-5)
