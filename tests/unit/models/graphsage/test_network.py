"""The model: symmetries, size, heads, and its serving form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from movierec.data.dataset import Interactions
from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.factors import FactorModel
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.hyperparameters import PRESETS, hyperparameters
from movierec.models.graphsage.losses import step_loss
from movierec.models.graphsage.network import GraphSage, Sizes
from movierec.models.graphsage.recommender import SageRecommender, export_factors, feature_tensors
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, Made, make_model, same_weights, small, weights_of

pytestmark = pytest.mark.usefixtures("calm_torch")

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
MODELS = {
    "plain": {},
    "rich": RICH,
    "std and powermean": {"aggregator": "std+powermean", "head": "projection"},
    "softmax and max": {"aggregator": "softmax+max", "readout": "all"},
    "ranker": {**RICH, "loss_type": "softmax", "ranking_weight": 0.0},
    "dot ranker": {"loss_type": "bpr"},
}
ONE_BY_ONE = [
    *({"aggregator": name} for name in AGGREGATORS),
    *({"loss_type": name} for name in ("mse", "mae", "huber", "ordinal", "bpr", "softmax")),
    *({"loss_type": name, "head": "projection"} for name in ("mse", "ordinal", "bpr", "softmax")),
    *({"loss_type": name, "target_fraction": 0.2} for name in ("huber", "bpr", "softmax")),
    {"aggregator": "max+mean+std"},
    {"messages": "rating"},
    {"weights": "per_type"},
    {"feature_layers": 2, "feature_bands": True},
    {"normalisation": "layer"},
    {"readout": "all"},
    {"readout": "all", "head": "projection"},
    {"ranking_weight": 1.0},
    {"num_layers": 1},
    {"num_layers": 4, "aggregator": "mean"},
    {"shrinkage": 0.0, "messages": "rating"},
    RICH,
]


def named(changes: dict[str, object]) -> str:
    return ",".join(f"{k}={v}" for k, v in changes.items()) if len(changes) < 4 else "rich"


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def made(request) -> Made:
    return make_model(small(**request.param))


def both_factors(made: Made, graph: RatingGraph, features) -> list:
    states = made.model.encode(graph, *features)
    found = [made.model.rating_factors(states), made.model.ranking_factors(states)]
    return [factors for factors in found if factors is not None]


@torch.no_grad()
def test_renumbering_the_nodes_renumbers_the_answers(made):
    """User u becomes user place[u], movie i becomes movie spot[i]."""
    n_users, n_movies = made.dataset.n_users, made.dataset.n_movies
    place, spot = torch.randperm(n_users), torch.randperm(n_movies)
    moved = Interactions(
        place.numpy()[made.train.user], spot.numpy()[made.train.movie], made.train.rating
    )
    features = (made.features[0][place.argsort()], made.features[1][spot.argsort()])
    before = both_factors(made, made.graph, made.features)
    after = both_factors(made, RatingGraph.build(moved, n_users, n_movies), features)
    for left, right in zip(before, after, strict=True):
        torch.testing.assert_close(right.user[place], left.user, **CLOSE)
        torch.testing.assert_close(right.movie[spot], left.movie, **CLOSE)
        torch.testing.assert_close(right.user_bias[place], left.user_bias, **CLOSE)
        torch.testing.assert_close(right.movie_bias[spot], left.movie_bias, **CLOSE)


@torch.no_grad()
def test_the_order_of_the_ratings_changes_no_bit(made):
    order = np.random.default_rng(1).permutation(len(made.train))
    shuffled = RatingGraph.build(
        made.train.take(order), made.dataset.n_users, made.dataset.n_movies
    )
    for left, right in zip(
        both_factors(made, made.graph, made.features),
        both_factors(made, shuffled, made.features),
        strict=True,
    ):
        for name in ("user", "movie", "user_bias", "movie_bias"):
            assert torch.equal(getattr(left, name), getattr(right, name))


@torch.no_grad()
def test_states_travel_as_far_as_there_are_layers():
    """In a path u0-m0-u1-m1-u2-m2, a change of m2 reaches a node k hops away after k layers."""
    user, movie = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2])
    graph = RatingGraph.build(Interactions(user, movie, np.ones(5, np.float32)), 3, 3)
    sizes = Sizes(4, 4, 1.0, 1.0, 5, 3.0)
    users, movies = torch.randn(3, 4), torch.randn(3, 4)
    changed = movies.clone()
    changed[2] += 1
    for layers, reached_users, reached_movies in [
        (1, [2], [2]),
        (2, [2], [1, 2]),
        (3, [1, 2], [1, 2]),
    ]:
        model = GraphSage(small(num_layers=layers, aggregator="mean"), sizes).eval()
        before, after = model.encode(graph, users, movies), model.encode(graph, users, changed)
        assert (before.user != after.user).any(1).nonzero()[:, 0].tolist() == reached_users
        assert (before.movie != after.movie).any(1).nonzero()[:, 0].tolist() == reached_movies


def test_the_report_preset_has_27_648_parameters_on_movielens_100k():
    """24 user and 19 movie features to 64; three layers of two 64 x 64 matrices and a bias."""
    sizes = Sizes(24, 19, 1.0, 1.0, 5, 3.5)
    model = GraphSage(hyperparameters("report"), sizes)
    assert model.n_parameters == (24 + 1 + 19 + 1) * 64 + 3 * (2 * 64 * 64 + 64) == 27_648


@pytest.mark.realdata
def test_movielens_100k_has_the_features_of_that_count(ml_100k):
    preprocessor = FeaturePreprocessor().fit(ml_100k, ml_100k.ratings)
    users, movies = feature_tensors(preprocessor, ml_100k)
    assert (users.shape, movies.shape) == ((943, 24), (1682, 19))
    assert torch.isfinite(users).all()
    assert torch.isfinite(movies).all()


def test_shared_weights_are_counted_once():
    shared = make_model(small()).model.n_parameters
    own = make_model(small(weights="per_type")).model.n_parameters
    assert own - shared == 2 * (2 * 8 * 8 + 8)


@pytest.mark.parametrize("changes", ONE_BY_ONE, ids=named)
def test_every_choice_takes_a_step_that_reaches_every_weight(changes):
    made = make_model(small(**changes))
    made.model.train()
    optimizer = torch.optim.Adam(made.model.parameters(), lr=0.01)
    visible = made.graph.without(torch.arange(0, made.graph.n_edges, 5))
    targets = made.graph.select(torch.arange(0, made.graph.n_edges, 5))
    parts = step_loss(made.model, visible, targets, made.features)
    sum(parts.values()).backward()
    before = weights_of(made.model)
    for name, weight in made.model.named_parameters():
        if name.startswith("ranking_head.user_bias") and weight.grad is None:
            continue  # a constant per user ranks nothing: a softmax has no gradient for it
        assert weight.grad is not None, f"{name} is not part of the loss"
        assert torch.isfinite(weight.grad).all(), name
    optimizer.step()
    assert not same_weights(before, made.model.state_dict())


@pytest.mark.parametrize("preset", PRESETS)
@torch.no_grad()
def test_a_user_and_a_movie_without_ratings_get_finite_answers(preset):
    made = make_model(hyperparameters(preset, hidden_dim=8))
    kept = (made.train.user != 3) & (made.train.movie != 7)
    lonely = made.train.take(np.flatnonzero(kept))
    known = SageRecommender([made.model], made.features, lonely, made.dataset.scale)
    users, movies = np.indices((made.dataset.n_users, made.dataset.n_movies)).reshape(2, -1)
    assert np.isfinite(known.predict(users, movies)).all()
    assert np.isfinite(known.score(np.arange(made.dataset.n_users))).all()


@torch.no_grad()
def test_expected_ratings_of_an_ordinal_link_rise_inside_the_scale():
    model = make_model(small(loss_type="ordinal")).model
    model.link.gaps.copy_(torch.tensor([-3.0, 0.5, 2.0]))
    assert (model.link.cuts.diff() > 0).all()
    stars = model.expected_rating(torch.linspace(-20, 20, 401))
    assert (stars.diff() >= 0).all()
    assert (stars.diff()[150:250] > 0).all()
    assert stars[0].item() == pytest.approx(1.0)
    assert stars[-1].item() == pytest.approx(5.0)
    assert ((stars >= 1) & (stars <= 5)).all()


@torch.no_grad()
def test_expected_ratings_of_other_losses_are_the_score_in_stars():
    raw = torch.tensor([-1.0, 0.0, 2.5])
    dot = make_model(small()).model
    assert torch.equal(dot.expected_rating(raw), raw)
    projection = make_model(small(head="projection")).model
    torch.testing.assert_close(projection.expected_rating(raw), raw + projection.sizes.mean_rating)


@torch.no_grad()
def test_half_star_scales_have_their_own_cut_points():
    sizes = Sizes(3, 3, rating_low=0.5, rating_step=0.5, n_levels=10, mean_rating=3.0)
    model = GraphSage(small(loss_type="ordinal"), sizes)
    stars = model.expected_rating(torch.tensor([-30.0, 30.0]))
    assert len(model.link.cuts) == 9
    torch.testing.assert_close(stars, torch.tensor([0.5, 5.0]))


def test_two_levels_suffice_for_an_ordinal_loss_and_one_does_not():
    sizes = Sizes(3, 3, rating_low=0.0, rating_step=1.0, n_levels=2, mean_rating=0.5)
    model = GraphSage(small(loss_type="ordinal"), sizes)
    assert len(model.link.cuts) == 1
    with pytest.raises(HyperparameterError, match="All ratings are equal"):
        GraphSage(small(loss_type="ordinal"), replace(sizes, n_levels=1))


@torch.no_grad()
def test_the_serving_form_answers_like_the_model(made):
    factors = export_factors(made.model, made.graph, made.features, made.dataset.scale)
    assert isinstance(factors, FactorModel)
    users, movies = np.indices((made.dataset.n_users, made.dataset.n_movies)).reshape(2, -1)
    pairs = RatingGraph.build(
        Interactions(users, movies, np.ones(len(users), np.float32)),
        made.dataset.n_users,
        made.dataset.n_movies,
    )
    states = made.model.encode(made.graph, *made.features)
    rating, ranking = made.model.rating_factors(states), made.model.ranking_factors(states)
    if rating is None:
        assert np.isnan(factors.predict(users, movies)).all()
    else:
        stars = made.model.expected_rating(rating.on_edges(pairs)).clamp(1, 5)
        np.testing.assert_allclose(factors.predict(users, movies), stars.numpy(), atol=1e-5)
    everybody = torch.arange(made.dataset.n_users)
    expected = (ranking or rating).of_users(everybody)
    if ranking is not None:  # a constant per user ranks nothing and is not served
        expected = expected - ranking.user_bias[:, None]
    elif made.model.config.head == "projection":
        expected = expected + made.model.sizes.mean_rating
    found = factors.score(np.arange(made.dataset.n_users))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_scores_of_edges_and_of_users_are_the_same(made):
    for factors in both_factors(made, made.graph, made.features):
        table = factors.of_users(torch.arange(made.dataset.n_users))
        on_edges = factors.on_edges(made.graph)
        torch.testing.assert_close(on_edges, table[made.graph.user, made.graph.movie], **CLOSE)


@pytest.mark.parametrize("training", [True, False])
def test_exporting_leaves_the_mode_and_the_weights_alone(training):
    made = make_model(small(**RICH))
    made.model.train(training)
    before = weights_of(made.model)
    one = export_factors(made.model, made.graph, made.features, made.dataset.scale)
    two = export_factors(made.model, made.graph, made.features, made.dataset.scale)
    assert made.model.training is training
    assert same_weights(before, made.model.state_dict())
    assert all((one.arrays()[name] == two.arrays()[name]).all() for name in one.arrays())


def test_observing_is_building_the_graph_again(made):
    scale = made.dataset.scale
    first = SageRecommender([made.model], made.features, made.train, scale)
    later = first.with_interactions(made.validation)
    whole = SageRecommender([made.model], made.features, made.dataset.ratings, scale)
    for name, expected in whole.arrays().items():
        np.testing.assert_array_equal(later.arrays()[name], expected)
    changed = any((later.arrays()[n] != array).any() for n, array in first.arrays().items())
    assert changed, "the new ratings changed nothing"
    assert len(first.known) == len(made.train)
    assert first.with_interactions(made.validation.take(np.zeros(0, np.int64))) is first


def test_observing_ratings_without_times_works(made):
    first = SageRecommender([made.model], made.features, made.train, made.dataset.scale)
    timeless = replace(made.validation, timestamp=None)
    assert first.with_interactions(timeless).known.timestamp is None


def test_dropout_is_off_in_evaluation_and_on_in_training():
    made = make_model(small(dropout=0.5, feature_dropout=0.2))
    encode = lambda: made.model.encode(made.graph, *made.features).user  # noqa: E731
    assert torch.equal(encode(), encode())
    made.model.train()
    assert not torch.equal(encode(), encode())


def test_a_data_set_without_features_is_enough():
    made = make_model(small(**RICH), make_dataset(features=False))
    parts = step_loss(made.model, made.graph, made.graph, made.features)
    assert set(parts) == {"rating", "ranking"}
    assert all(torch.isfinite(part) for part in parts.values())
