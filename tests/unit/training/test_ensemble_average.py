"""Several models as one: the scores before the link are means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from movierec.data.dataset import RatingScale
from movierec.errors import ArtifactError
from movierec.models.factors import FactorModel
from movierec.models.graphsage.ensemble import as_one_module, average
from movierec.models.graphsage.recommender import SageRecommender
from tests.support.sage_cases import RICH, make_model, same_weights, small

pytestmark = pytest.mark.usefixtures("calm_torch")

N_USERS, N_MOVIES = 5, 7
USERS, MOVIES = np.indices((N_USERS, N_MOVIES)).reshape(2, -1)


def member(seed: int, *, cuts: bool = True, biases: bool = True, ranking: bool = True):
    """Make a model of random vectors; each member of another width."""
    rng = np.random.default_rng(seed)
    width = 2 + seed
    arrays = {"rating_user": (N_USERS, width), "rating_movie": (N_MOVIES, width)}
    if biases:
        arrays |= {"rating_user_bias": (N_USERS,), "rating_movie_bias": (N_MOVIES,)}
    if ranking:
        arrays |= {"ranking_user": (N_USERS, 3), "ranking_movie": (N_MOVIES, 3)}
        arrays |= {"ranking_movie_bias": (N_MOVIES,)}
    made = {name: rng.normal(size=shape).astype(np.float32) for name, shape in arrays.items()}
    if cuts:
        made["cut_points"] = np.sort(rng.normal(size=4)).astype(np.float32)
    offset, slope = 0.0 if cuts else 3.0 + seed / 10, 4.0 if cuts else 1.0
    return FactorModel(
        N_USERS, N_MOVIES, RatingScale(1.0, 5.0, 1.0), offset=offset, slope=slope, **made
    )


def raw_by_hand(model: FactorModel, user: int, movie: int) -> float:
    raw = model.offset + float(model.rating_user[user] @ model.rating_movie[movie])
    if len(model.rating_user_bias):
        raw += float(model.rating_user_bias[user] + model.rating_movie_bias[movie])
    return raw


def stars_by_hand(members: list[FactorModel], user: int, movie: int) -> float:
    """Average the members' logits one by one, or their stars where the link is the identity."""
    if not len(members[0].cut_points):
        stars = np.mean([raw_by_hand(m, user, movie) for m in members])
        return float(np.clip(stars, 1, 5))
    logits = [m.slope * raw_by_hand(m, user, movie) - m.cut_points for m in members]
    return float(1 + expit(np.mean(logits, axis=0)).sum())


def scores_by_hand(members: list[FactorModel]) -> np.ndarray:
    return np.mean([m.score(np.arange(N_USERS)) for m in members], axis=0)


def agrees(joined: FactorModel, members: list[FactorModel]) -> bool:
    stars = [stars_by_hand(members, u, i) for u, i in zip(USERS, MOVIES, strict=True)]
    scores = joined.score(np.arange(N_USERS))
    return np.allclose(joined.predict(USERS, MOVIES), stars, atol=1e-5) and np.allclose(
        scores, scores_by_hand(members), atol=1e-5
    )


KINDS = {
    "ordinal": {},
    "identity": {"cuts": False},
    "no biases": {"biases": False},
    "ranked by rating": {"ranking": False},
    "plain": {"cuts": False, "biases": False, "ranking": False},
}


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_scores_before_the_link_are_the_means_of_the_members(kind, count):
    members = [member(seed, **kind) for seed in range(count)]
    joined = average(members)
    assert agrees(joined, members)
    assert joined.rating_user.shape == (N_USERS, sum(2 + seed for seed in range(count)))
    assert joined.link == members[0].link


@pytest.mark.parametrize(
    "wrong",
    [
        lambda joined: replace(joined, rating_user=joined.rating_user * 3),
        lambda joined: replace(joined, ranking_user=joined.ranking_user * 3),
        lambda joined: replace(joined, cut_points=joined.cut_points * 3),
        lambda joined: replace(joined, rating_movie_bias=joined.rating_movie_bias * 3),
        lambda joined: replace(joined, ranking_movie_bias=joined.ranking_movie_bias * 3),
    ],
)
def test_a_sum_in_place_of_a_mean_would_be_seen(wrong):
    members = [member(seed) for seed in range(3)]
    assert not agrees(wrong(average(members)), members)


def test_probabilities_are_the_geometric_mean_of_the_odds():
    # a slope at which no probability is rounded to 0 or 1
    members = [replace(member(seed), slope=0.3) for seed in range(3)]
    found = average(members).rating_distribution(USERS, MOVIES)
    above = 1 - found.cumsum(axis=1)[:, :-1]
    theirs = [1 - m.rating_distribution(USERS, MOVIES).cumsum(axis=1)[:, :-1] for m in members]
    log_odds = np.mean([np.log(p) - np.log1p(-p) for p in theirs], axis=0)
    np.testing.assert_allclose(above, expit(log_odds), atol=1e-3)


def test_one_member_is_itself():
    alone = member(0)
    assert average([alone]) is alone


def test_the_average_survives_its_arrays():
    joined = average([member(0), member(1)])
    again = FactorModel.from_arrays(joined.arrays())
    np.testing.assert_array_equal(again.predict(USERS, MOVIES), joined.predict(USERS, MOVIES))


@pytest.mark.parametrize(
    "other",
    [
        replace(member(1), slope=2.0),
        replace(member(1), scale=RatingScale(0.0, 4.0, 1.0)),
        member(1, cuts=False),
        member(1, biases=False),
        member(1, ranking=False),
    ],
    ids=["slope", "scale", "link", "biases", "ranking"],
)
def test_members_of_different_kinds_are_refused(other):
    with pytest.raises(ArtifactError, match="do not fit together"):
        average([member(0), other])


@pytest.mark.parametrize("changes", [RICH, {}], ids=["rich", "report"])
def test_a_newcomer_is_answered_by_all_members(changes):
    """Observing runs every member over the new graph, and the answers are averaged."""
    made = [make_model(small(**changes), seed=seed) for seed in range(3)]
    one = made[0]
    scale, told = one.dataset.scale, one.validation
    together = SageRecommender([m.model for m in made], one.features, one.train, scale)
    apart = [SageRecommender([m.model], one.features, one.train, scale) for m in made]
    for known, members in (
        (together, apart),
        (together.with_interactions(told), [single.with_interactions(told) for single in apart]),
    ):
        expected = average([single.factors for single in members])
        for name, array in expected.arrays().items():
            np.testing.assert_array_equal(known.arrays()[name], array)
    users = np.arange(one.dataset.n_users)
    assert not np.allclose(together.score(users), together.with_interactions(told).score(users))


def test_weights_of_several_models_go_into_one_state_and_back():
    made = [make_model(small(), seed=seed).model for seed in range(2)]
    state = as_one_module(made).state_dict()
    assert len(state) == 2 * len(made[0].state_dict())
    assert {name.rsplit(".", 1)[0][:10] for name in state} == {"members.0.", "members.1."}
    others = [make_model(small(), seed=seed).model for seed in (7, 8)]
    as_one_module(others).load_state_dict(state)
    for model, other in zip(made, others, strict=True):
        assert same_weights(model.state_dict(), other.state_dict())


def test_weights_of_one_model_are_named_as_ever():
    model = make_model(small()).model
    assert as_one_module([model]) is model
    assert not any(name.startswith("members") for name in model.state_dict())


@pytest.mark.parametrize("count", [1, 3])
def test_weights_of_another_number_of_members_do_not_fit(count):
    state = as_one_module([make_model(small(), seed=seed).model for seed in range(2)]).state_dict()
    others = [make_model(small()).model for _ in range(count)]
    with pytest.raises(RuntimeError, match=r"Missing|Unexpected"):
        as_one_module(others).load_state_dict(state)
