"""Somebody who was never in training gets what the graph would give, and knows why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from movierec.data.dataset import Dataset
from movierec.errors import ArtifactError, EvaluationError, NotFoundError
from movierec.inference import LoadedVersion
from movierec.inference.newcomers import FEATURES, can_answer, known_ratings, recommender_for
from movierec.inference.person import Person
from movierec.metadata import VersionMetadata
from movierec.models.factory import GRAPHSAGE, load_recommender, make_baseline
from movierec.models.graphsage.recommender import SageRecommender
from movierec.models.graphsage.user_encoder import UserEncoder
from movierec.models.residuals import KERNEL
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, make_model, small

CONFIGS = {
    "report": {"num_layers": 3},
    "default": RICH,
    "every aggregator": {"aggregator": "max+mean+sum+softmax+powermean+std"},
    "ranks only": {"loss_type": "bpr", "head": "projection", "readout": "all"},
    "foresees": {**RICH, "hiding": "later", "liking_exponent": 0.5},
    "shared, layer norm": {"messages": "rating", "normalisation": "layer", "aggregator": "max"},
    "one layer, last": {"num_layers": 1, "head": "projection", "loss_type": "huber"},
}


def version_of(config: dict[str, object], *, members: int = 1, kernel: bool = True):
    """A version as it is kept, and the network it was made from."""
    made = make_model(small(**config))
    models = [made.model, *(make_model(small(**config), seed=s).model for s in range(1, members))]
    rates = not made.model.config.ranks_only
    network = SageRecommender(
        models, made.features, made.train, made.dataset.scale, None,
        KERNEL if kernel and rates else None,
    )  # fmt: skip
    arrays = network.arrays()
    metadata = VersionMetadata.of(
        {
            "model": GRAPHSAGE,
            "hyperparameters": made.model.config.model_dump(),
            "mean_rating": made.model.sizes.mean_rating,
            "members": members,
        }
    )
    sizes = (made.dataset.n_users, made.dataset.n_movies)
    kept = LoadedVersion(
        "v1.0.0", load_recommender(GRAPHSAGE, arrays), made.dataset, made.train, metadata,
        UserEncoder.of(arrays, metadata, made.train, sizes), made.preprocessor,
    )  # fmt: skip
    return kept, network, made


def answers(model, index: int, n_movies: int) -> tuple[np.ndarray, np.ndarray]:
    users = np.full(n_movies, index)
    scores = model.score(np.array([index]))[0]
    return scores - scores.mean(), model.predict(users, np.arange(n_movies))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("members", [1, 3])
def test_every_users_own_ratings_give_what_the_graph_gives(config, members):
    kept, _, made = version_of(config, members=members)
    for user in map(str, made.dataset.users.ids):
        person = kept.person(user)
        features = made.preprocessor.users(made.dataset.user_frame.iloc[[person.index]])
        again = recommender_for(kept, known_ratings(kept, person), features)
        for ours, graph in zip(
            answers(again, 0, made.dataset.n_movies),
            answers(kept.recommender, person.index, made.dataset.n_movies),
            strict=True,
        ):
            np.testing.assert_allclose(ours, graph, atol=1e-5)


def as_newcomer(kept: LoadedVersion, user: str) -> Person:
    """A user of the data, asked for as if they came from outside."""
    person = kept.person(user)
    movies = kept.dataset.movies.ids[person.seen]
    facts = kept.dataset.user_frame.iloc[person.index]
    given = dict(zip(movies, person.stars.tolist(), strict=True))
    return kept.newcomer(given, {name: facts[name] for name in FEATURES})


@pytest.mark.parametrize("name", ["report", "default", "every aggregator"])
def test_somebody_of_the_data_who_comes_as_a_newcomer_gets_their_own_list(name):
    kept, _, made = version_of(CONFIGS[name])
    for user in map(str, made.dataset.users.ids[:10]):
        own, new = kept.recommend(user, 5), kept.recommend_for(as_newcomer(kept, user), 5)
        assert {line.reason for line in new} == {"newcomer"}
        assert [line.movie_id for line in new] == [line.movie_id for line in own]
        for ours, theirs in zip(new, own, strict=True):
            assert ours.predicted_rating == pytest.approx(theirs.predicted_rating, abs=1e-5)
            assert ours.distribution == pytest.approx(theirs.distribution, abs=1e-5) or (
                ours.distribution is theirs.distribution is None
            )


def test_a_newcomers_list_leaves_out_what_they_rated_and_moves_with_it():
    kept, _, _ = version_of(RICH)
    liked = kept.recommend_for_new_user({"m1": 5.0, "m2": 5.0}, k=28)
    hated = kept.recommend_for_new_user({"m1": 1.0, "m2": 1.0}, k=28)
    assert len(liked) == 28
    assert not {"m1", "m2"} & {line.movie_id for line in liked}
    assert [line.movie_id for line in liked] != [line.movie_id for line in hated]


def test_somebody_of_whom_nothing_is_known_gets_the_models_answer():
    kept, _, _ = version_of(RICH)
    lines = kept.recommend_for_new_user({}, k=3)
    assert {line.reason for line in lines} == {"newcomer"}
    assert all(line.predicted_rating for line in lines)


@pytest.mark.parametrize(
    ("ratings", "features", "kind", "says"),
    [
        ({"m1": 6.0}, None, EvaluationError, "not on the scale of 1 to 5"),
        ({"m1": float("nan")}, None, EvaluationError, "not on the scale"),
        ({"m99": 3.0}, None, NotFoundError, "no movie 'm99'"),
        ({"m1": 3.0}, {"height": 3}, EvaluationError, "no feature 'height'"),
        ({"m1": 3.0}, {"age": "old"}, EvaluationError, "no age"),
    ],
)
def test_what_cannot_be_used_is_named(ratings, features, kind, says):
    kept, _, _ = version_of(RICH)
    with pytest.raises(kind, match=says):
        kept.newcomer(ratings, features)


def test_a_version_kept_without_the_users_half_falls_back():
    kept, _, _ = version_of(RICH)
    old = replace(kept, inductive=None)
    assert can_answer(kept)
    assert not can_answer(old)
    assert {line.reason for line in old.recommend_for_new_user({"m1": 3.0})} == {"fallback"}


def test_arrays_that_do_not_fit_are_refused():
    kept, network, made = version_of(RICH)
    arrays = network.arrays() | {"inductive0_weights": np.zeros(3, np.float32)}
    sizes = (made.dataset.n_users, made.dataset.n_movies)
    with pytest.raises(ArtifactError, match="does not fit its metadata"):
        UserEncoder.of(arrays, kept.metadata, made.train, sizes)


def baseline(name: str, dataset: Dataset) -> LoadedVersion:
    model = make_baseline(name).fit(dataset, dataset.ratings, seed=1)
    metadata = VersionMetadata(model=name, hyperparameters={"user_regularization": 2.1})
    return LoadedVersion("v1.0.0", model, dataset, dataset.ratings, metadata)


@pytest.mark.parametrize("name", ["ease", "knn", "biases", "popular", "mean"])
def test_baselines_that_need_no_training_answer_as_for_one_of_theirs(name):
    version = baseline(name, make_dataset())
    for user in ("u3", "u17"):
        own = version.recommend(user, 8)
        new = version.recommend_for(as_newcomer(version, user), 8)
        assert [line.movie_id for line in new] == [line.movie_id for line in own]
        assert {line.reason for line in new} == {"newcomer"}
        if own[0].predicted_rating is not None:
            ours = [line.predicted_rating for line in new]
            assert ours == pytest.approx([line.predicted_rating for line in own], abs=0.05)


@pytest.mark.parametrize("name", ["svd", "svdpp"])
def test_baselines_that_must_train_again_fall_back(name):
    version = baseline(name, make_dataset())
    lines = version.recommend_for_new_user({"m1": 5.0}, k=3)
    assert {line.reason for line in lines} == {"fallback"}
    assert lines[0].score == max(np.delete(version.popularity, 1))
