"""The parts of the loss, each against the slow and obvious way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.models import losses
from movierec.models.heads import Factors
from movierec.models.losses import step_loss
from tests.sage_cases import RICH, Made, make_model, random_graph, small

pytestmark = pytest.mark.usefixtures("calm_torch")


def factors_for(graph, width: int = 3) -> Factors:
    return Factors(
        user=torch.randn(graph.n_users, width),
        movie=torch.randn(graph.n_movies, width),
        user_bias=torch.randn(graph.n_users),
        movie_bias=torch.randn(graph.n_movies),
    )


def hidden(made: Made):
    edges = torch.arange(0, made.graph.n_edges, 4)
    return made.graph.without(edges), made.graph.select(edges)


def raw_scores(made: Made, visible, targets) -> Tensor:
    states = made.model.encode(visible, *made.features)
    table = made.model.rating_factors(states).of_users(torch.arange(targets.n_users))
    return table[targets.user, targets.movie]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("mse", lambda error: error**2),
        ("mae", lambda error: error.abs()),
        ("huber", lambda e: torch.where(e.abs() < 1, e**2 / 2, e.abs() - 0.5)),
    ],
)
def test_rating_losses_are_their_formulas(name, formula):
    made = make_model(small(loss_type=name, head="projection"))
    visible, targets = hidden(made)
    error = raw_scores(made, visible, targets) + made.model.sizes.mean_rating - targets.rating
    parts = step_loss(made.model, visible, targets, made.features)
    assert list(parts) == ["rating"]
    torch.testing.assert_close(parts["rating"], formula(error).mean())


def test_the_ordinal_loss_is_the_error_and_the_crossings():
    """P(r > k) = sigmoid(2 raw - c_k) for each level k but the highest, and mse beside it."""
    made = make_model(small(loss_type="ordinal", ordinal_weight=0.3, head="projection"))
    visible, targets = hidden(made)
    raw = raw_scores(made, visible, targets)
    log_likelihood, expected = [], []
    for score, stars in zip(raw, targets.rating, strict=True):
        above = [torch.sigmoid(2 * score - cut) for cut in made.model.link.cuts]
        expected.append(1 + sum(above))
        log_likelihood += [
            torch.log(p if stars > level else 1 - p) for level, p in enumerate(above, start=1)
        ]
    error = ((torch.stack(expected) - targets.rating) ** 2).mean()
    found = step_loss(made.model, visible, targets, made.features)["rating"]
    torch.testing.assert_close(found, error - 0.3 * torch.stack(log_likelihood).mean())


@pytest.mark.parametrize("overlap", [False, True], ids=["targets hidden", "targets visible"])
def test_softmax_is_over_the_unseen_movies_and_the_targets(overlap):
    graph = random_graph(share=0.6)
    edges = torch.arange(0, graph.n_edges, 3)
    visible, targets = (graph if overlap else graph.without(edges)), graph.select(edges)
    factors = factors_for(graph)
    table = factors.of_users(torch.arange(graph.n_users))
    pairs = zip(targets.user.tolist(), targets.movie.tolist(), strict=True)
    likelihood = []
    for user, movie in pairs:
        asked = set(targets.movie[targets.user == user].tolist())
        seen = set(visible.movie[visible.user == user].tolist()) - asked
        candidates = [m for m in range(graph.n_movies) if m not in seen]
        likelihood.append(table[user, movie] - table[user, candidates].logsumexp(0))
    found = losses._softmax(factors, targets, visible)
    torch.testing.assert_close(found, -torch.stack(likelihood).mean())


def test_bpr_compares_each_target_with_its_drawn_movie(monkeypatch):
    graph = random_graph()
    factors = factors_for(graph)
    drawn = torch.randint(graph.n_movies, graph.user.shape)
    monkeypatch.setattr(losses, "_unrated", lambda *_: drawn)
    table = factors.of_users(torch.arange(graph.n_users))
    difference = table[graph.user, graph.movie] - table[graph.user, drawn]
    found = losses._bpr(factors, graph, graph)
    torch.testing.assert_close(found, -F.logsigmoid(difference).mean())


def test_drawn_movies_are_unrated_and_of_every_kind():
    graph = random_graph(40, 30, share=0.3)
    rated = set(zip(graph.user.tolist(), graph.movie.tolist(), strict=True))
    counts = torch.zeros(graph.n_movies)
    clashes = 0
    for _ in range(20):
        drawn = losses._unrated(graph, graph)
        clashes += len(rated & set(zip(graph.user.tolist(), drawn.tolist(), strict=True)))
        counts += torch.bincount(drawn, minlength=graph.n_movies)
    # five draws in a row fall on a rated movie once in 0.3^-5 = 400 times
    assert clashes < 0.01 * counts.sum()
    assert (counts > 0).all()


def test_drawing_ends_where_a_user_has_rated_everything():
    graph = random_graph(4, 6, share=1.0)
    whole = graph.keep(graph.user < 3)
    drawn = losses._unrated(whole, whole)
    assert ((drawn >= 0) & (drawn < graph.n_movies)).all()
    nothing = graph.keep(torch.zeros(graph.n_edges, dtype=torch.bool))
    assert losses._unrated(graph, nothing).shape == graph.user.shape


def test_the_parts_are_named_and_weighted():
    one = make_model(small(**{**RICH, "ranking_weight": 1.0}))
    two = make_model(small(**{**RICH, "ranking_weight": 2.5}))
    visible, targets = hidden(one)
    left = step_loss(one.model, visible, targets, one.features)
    right = step_loss(two.model, visible, targets, two.features)
    torch.testing.assert_close(left["rating"], right["rating"])
    torch.testing.assert_close(2.5 * left["ranking"], right["ranking"])
    ranker = make_model(small(loss_type="softmax"))
    assert list(step_loss(ranker.model, visible, targets, ranker.features)) == ["ranking"]


@pytest.mark.parametrize("name", ["softmax", "bpr"])
def test_an_untrained_ranker_starts_near_chance(name):
    made = make_model(small(loss_type=name))
    with torch.no_grad():
        for weight in made.model.parameters():
            weight.zero_()
    visible, targets = hidden(made)
    found = step_loss(made.model, visible, targets, made.features)["ranking"]
    if name == "bpr":
        assert found.item() == pytest.approx(math.log(2))
    else:
        seen = visible.by_user.degree[targets.user]
        expected = torch.log(made.dataset.n_movies - seen).mean()
        torch.testing.assert_close(found, expected)
