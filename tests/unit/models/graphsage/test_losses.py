"""The parts of the loss, each against the slow and obvious way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.graph import RatingGraph
from movierec.models.graphsage import losses
from movierec.models.graphsage.heads import Factors
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.losses import sampled_softmax, step_loss
from movierec.models.graphsage.negative_sampling import NegativeSample
from tests.support.factories import assemble
from tests.support.sage_cases import RICH, Made, fit, make_model, random_graph, small

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


def softmax_of(
    factors: Factors, targets: RatingGraph, visible: RatingGraph, config: SageHyperparameters
) -> Tensor:
    degree = visible.by_movie.full_degree
    draw = NegativeSample.draw(degree, visible.n_users, config, torch.default_generator)
    return losses._softmax(factors, draw.of(targets), visible, draw)


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
    found = softmax_of(factors, targets, visible, small())
    torch.testing.assert_close(found, -torch.stack(likelihood).mean())


def skewed_graph(n_users: int = 12, n_movies: int = 40) -> RatingGraph:
    """Make a graph whose first movies nearly everyone rated and whose last hardly anyone.

    User 0 rated everything.
    """
    chosen = torch.rand(n_users, n_movies) < torch.linspace(0.9, 0.1, n_movies)
    chosen[0] = True
    user, movie = chosen.nonzero(as_tuple=True)
    return RatingGraph.of_edges(user, movie, torch.ones(len(user)), n_users, n_movies)


def two_tastes() -> Dataset:
    """Make users who rate only comedies and users who rate only dramas, of 30 movies."""
    rng = np.random.default_rng(0)
    taste, genre = np.arange(40)[:, None] % 2, np.arange(30) % 2
    user, movie = np.nonzero((taste == genre) & (rng.random((40, 30)) < 0.6))
    dataset = assemble(user, movie, np.full(len(user), 4.0), None, 40, 30, rng)
    dataset.movie_frame[Columns.GENRES] = np.where(genre, "Comedy", "Drama")
    return dataset


def popular_factors(graph: RatingGraph) -> Factors:
    """Return factors that score the often rated movies high, with gradients."""
    made = factors_for(graph)
    bias = (graph.by_movie.degree + 1).log() + 0.3 * made.movie_bias
    parts = 0.3 * made.user, made.movie, made.user_bias, bias
    return Factors(*(part.requires_grad_() for part in parts))


def value_and_gradients(loss: Tensor, factors: Factors) -> list[Tensor]:
    wanted = [factors.user, factors.movie, factors.movie_bias]
    return [loss.detach(), *torch.autograd.grad(loss, wanted)]


@pytest.mark.parametrize("overlap", [False, True], ids=["targets hidden", "targets visible"])
def test_a_sample_of_every_movie_once_is_the_exact_softmax(overlap):
    """User 0 has nothing but its targets to choose from."""
    graph = skewed_graph()
    edges = torch.arange(0, graph.n_edges, 4)
    visible, targets = (graph if overlap else graph.without(edges)), graph.select(edges)
    factors = popular_factors(graph)
    every = torch.randperm(graph.n_movies)
    sampled = sampled_softmax(factors, targets, visible, every, torch.zeros(len(every)))
    exact = softmax_of(factors, targets, visible, small())
    found, expected = (value_and_gradients(loss, factors) for loss in (sampled, exact))
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def test_a_large_sample_comes_to_the_exact_softmax_by_its_correction():
    """A movie drawn more often than others must count less; alike it would be far off."""
    graph = skewed_graph()
    edges = torch.arange(0, graph.n_edges, 4)
    visible, targets, factors = graph.without(edges), graph.select(edges), popular_factors(graph)
    share = (graph.by_movie.degree + 1).square()
    share = share / share.sum()
    sample = torch.multinomial(share, 50_000, replacement=True)
    alike = torch.full((len(sample),), len(sample) / graph.n_movies)
    corrected, uncorrected = (
        sampled_softmax(factors, targets, visible, sample, count.log())
        for count in (len(sample) * share[sample], alike)
    )
    exact = softmax_of(factors, targets, visible, small())
    left, right = (value_and_gradients(loss, factors) for loss in (corrected, exact))
    assert abs(left[0] - right[0]) < 0.01
    assert abs(uncorrected - exact) > 0.05
    for one, other in zip(left[1:], right[1:], strict=True):
        assert (one - other).norm() < 0.05 * other.norm()


def test_small_samples_are_right_in_the_mean():
    """exp(loss) of a single target is linear in the sum that is estimated, so its mean is exact."""
    graph = skewed_graph()
    edge = torch.tensor([graph.n_movies + 3])
    visible, targets = graph.without(edge), graph.select(edge)
    with torch.no_grad():
        factors = popular_factors(graph)
        exact = softmax_of(factors, targets, visible, small())
        config = small(sampled_movies=12)
        drawn = [softmax_of(factors, targets, visible, config) for _ in range(400)]
    sums = torch.stack(drawn).exp()
    assert sums.std() > 0.05 * sums.mean()
    torch.testing.assert_close(sums.mean(), exact.exp(), rtol=0.05, atol=0)


@pytest.mark.parametrize("limit", [29, 30], ids=["sampled", "exact"])
def test_a_catalogue_above_the_limit_is_sampled_and_learnt(monkeypatch, limit):
    sizes: list[int] = []

    def watched(*given: object) -> Tensor:
        sizes.append(len(given[3]))
        return sampled_softmax(*given)

    monkeypatch.setattr(losses, "sampled_softmax", watched)
    config = small(
        loss_type="softmax", head="projection", target_fraction=0.3, optimizer="muon",
        learning_rate=0.02, epochs=15, early_stopping_patience=15, sampled_movies=limit,
    )  # fmt: skip
    history = fit(config, two_tastes()).result.history
    assert set(sizes) == ({29} if limit == 29 else set())
    assert min(item.val_loss for item in history) < history[0].val_loss - 0.1


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
