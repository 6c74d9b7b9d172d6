"""How present a node is among the newest ratings: the fact, and who looks at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from movierec.graph import RatingGraph
from movierec.models.graphsage.heads import ProjectionHead, make_head
from movierec.models.graphsage.statistics import GraphStatistics
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, graph_of, make_model, random_graph, small

pytestmark = pytest.mark.usefixtures("calm_torch")

LATER = {**RICH, "hiding": "later"}


def statistics_of(graph: RatingGraph) -> GraphStatistics:
    return GraphStatistics(graph, 3.0, 1.0)


def trend_of(index: Tensor, n_nodes: int) -> Tensor:
    """Return log(1 + share of the edges, times the nodes) from the edges that count."""
    count = np.bincount(index.numpy(), minlength=n_nodes)
    return torch.from_numpy(np.log(1 + count / max(len(index), 1) * n_nodes)).float()


def assert_trends(graph: RatingGraph, counts: Tensor) -> None:
    statistics = statistics_of(graph)
    users, movies = graph.user[counts], graph.movie[counts]
    torch.testing.assert_close(statistics.user.trend, trend_of(users, graph.n_users))
    torch.testing.assert_close(statistics.movie.trend, trend_of(movies, graph.n_movies))


@pytest.mark.parametrize("n_edges", [1, 5, 10, 11, 100])
def test_trend_counts_the_newest_tenth_of_the_edges(n_edges):
    dataset = make_dataset()
    graph = graph_of(dataset, dataset.ratings.take(np.arange(n_edges)))
    newest = graph.moment.argsort(descending=True)[: -(-n_edges // 10)]
    assert_trends(graph, newest)


def test_trend_is_of_the_visible_edges_alone():
    dataset = make_dataset()
    graph = graph_of(dataset, dataset.ratings)
    old = graph.keep(graph.moment < graph.n_edges // 2)
    newest = old.moment.argsort(descending=True)[: -(-old.n_edges // 10)]
    assert_trends(old, newest)


def test_without_times_every_edge_counts_for_the_trend():
    graph = random_graph()
    assert_trends(graph, torch.arange(graph.n_edges))


def test_the_trend_of_a_graph_without_edges_is_zero():
    empty = random_graph(share=0.0)
    for graph in (empty, replace(empty, moment=torch.empty(0, dtype=torch.int64))):
        statistics = statistics_of(graph)
        assert not statistics.user.trend.any()
        assert not statistics.movie.trend.any()


def test_features_hold_the_trend_where_it_is_wanted():
    dataset = make_dataset()
    statistics = statistics_of(graph_of(dataset, dataset.ratings))
    for side in (statistics.user, statistics.movie):
        two = torch.stack([side.bias, side.log_degree], dim=1)
        assert torch.equal(side.features(trend=False), two)
        assert torch.equal(side.features(trend=True), torch.column_stack([two, side.trend]))


def test_the_ranking_head_adds_its_share_of_the_trend():
    made = make_model(small(**LATER))
    head = made.model.ranking_head
    states = made.model.encode(made.graph, *made.features)
    trend = states.statistics.movie.trend
    before = head(states).movie_bias
    with torch.no_grad():
        head.trend += 0.25
    after = head(states).movie_bias
    assert trend.any()
    expected = 0.25 * head.trust[1] * trend
    torch.testing.assert_close(after - before, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("hiding", ["random", "newcomers", "later"])
def test_only_a_model_that_foresees_looks_at_the_trend(hiding):
    config = small(**{**RICH, "hiding": hiding})
    assert config.uses_trend is (hiding == "later")
    ranking, rating = (make_head(config, 8, purpose) for purpose in ("ranking", "rating"))
    assert isinstance(ranking, ProjectionHead)
    assert (ranking.trend is not None) is config.uses_trend
    assert rating.trend is None
    made = make_model(config)
    timeless = replace(made.graph, moment=None)
    one, other = (made.model.encode(graph, *made.features) for graph in (made.graph, timeless))
    assert torch.equal(one.movie, other.movie) is not config.uses_trend
