"""Sparse products, maxima and aggregators against dense algebra and torch-geometric."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import SAGEConv, aggr

from movierec.csr import CSR
from movierec.graph import RatingGraph
from movierec.models.graphsage import sparse
from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.layers import SageLayer, aggregate
from movierec.models.graphsage.statistics import GraphStatistics
from tests.support.sage_cases import random_graph, small

pytestmark = pytest.mark.usefixtures("calm_torch")

WIDTH = 5
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
PYG = {
    "max": aggr.MaxAggregation,
    "mean": aggr.MeanAggregation,
    "sum": aggr.SumAggregation,
    "softmax": aggr.SoftmaxAggregation,
    "powermean": lambda: aggr.PowerMeanAggregation(p=2.0),
    "std": aggr.StdAggregation,
}


@dataclass(frozen=True)
class Side:
    """One direction of a graph: who receives, and the edges by their two ends."""

    rows: CSR
    back: CSR
    order: Tensor  # of the edges of `back` in `rows`

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        return self.rows.row.long(), self.rows.column.long()  # as torch-geometric asks


def side_of(graph: RatingGraph, name: str) -> Side:
    if name == "by_user":
        return Side(graph.by_user, graph.by_movie, graph.to_movie_order)
    return Side(graph.by_movie, graph.by_user, graph.to_movie_order.argsort())


@pytest.fixture(params=["by_user", "by_movie", "no edges", "every edge"])
def side(request) -> Side:
    if request.param == "no edges":
        return side_of(random_graph(share=0.0), "by_user")
    if request.param == "every edge":
        return side_of(random_graph(share=1.0), "by_movie")
    return side_of(random_graph(), request.param)


def states(n: int, *, apart: bool = True) -> Tensor:
    """Make states; where `apart`, no two of them are equal or nearly so."""
    x = torch.randperm(n * WIDTH).reshape(n, WIDTH) / (n * WIDTH) if apart else torch.rand(n, WIDTH)
    return (4 * x - 1.5).requires_grad_()


def with_gradients(result: Tensor, *leaves: Tensor) -> list[Tensor]:
    """Return a result and its gradients under one random cotangent."""
    torch.manual_seed(7)
    gradients = torch.autograd.grad(result, leaves, torch.randn(result.shape))
    return [result.detach(), *gradients]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, **CLOSE)


def dense(side: Side, value: Tensor) -> Tensor:
    table = torch.zeros(side.rows.n_rows, side.rows.n_columns)
    table[side.ends] = value
    return table


def test_random_graph_has_isolated_nodes_on_both_sides():
    graph = random_graph()
    assert (graph.by_user.degree == 0).any()
    assert (graph.by_movie.degree == 0).any()


def test_neighbour_sum_is_a_matrix_product(side):
    value = torch.randn(len(side.rows.column))
    x = states(side.rows.n_columns)
    back_value = value[side.order]
    found = sparse.neighbour_sum(side.rows, side.back, value, back_value, x)
    assert_same(with_gradients(found, x), with_gradients(dense(side, value) @ x, x))


def test_row_sum_adds_the_edges_of_a_row(side):
    value = torch.randn(len(side.rows.column))
    torch.testing.assert_close(sparse.row_sum(side.rows, value), dense(side, value).sum(1), **CLOSE)


def test_edge_dot_is_the_product_at_the_edges(side):
    left, right = states(side.rows.n_rows), states(side.rows.n_columns)
    found = sparse.edge_dot(side.rows, side.back, side.order, left, right)
    expected = (left @ right.t())[side.ends]
    assert_same(with_gradients(found, left, right), with_gradients(expected, left, right))


def test_neighbour_max_is_a_masked_maximum(side):
    x = states(side.rows.n_columns)
    among = dense(side, torch.ones(len(side.rows.column)))[:, :, None] > 0
    expected = torch.where(among, x[None], -torch.inf).amax(1)
    expected = torch.where(among.any(1), expected, 0.0)
    assert_same(with_gradients(sparse.neighbour_max(side.rows, x), x), with_gradients(expected, x))


def test_neighbour_max_gives_a_ties_gradient_to_one_winner(side):
    x = torch.randint(2, (side.rows.n_columns, WIDTH)).float().requires_grad_()
    best = sparse.neighbour_max(side.rows, x)
    for row, channel in [(r, c) for r in range(side.rows.n_rows) for c in range(WIDTH)]:
        (gradient,) = torch.autograd.grad(best[row, channel], x, retain_graph=True)
        neighbours = side.rows.column[side.rows.row == row]
        assert gradient.sum() == bool(len(neighbours))
        for winner in gradient.nonzero()[:, 0]:
            assert winner in neighbours
            assert x[winner, channel] == x[neighbours, channel].max() == best[row, channel]


def test_what_other_devices_run_equals_the_fused_kernels(side):
    pointer, column = side.rows.pointer, side.rows.column
    value, x = torch.randn(len(column)), states(side.rows.n_columns).detach()
    left = states(side.rows.n_rows).detach()
    operators = torch.ops.movierec
    fused = [
        operators.spmm(pointer, column, value, x),
        *operators.spmax(pointer, column, x),
        operators.sddmm(pointer, column, left, x),
    ]
    gathered = [
        sparse._product_any(pointer, column, value, x),
        *sparse._max_any(pointer, column, x),
        sparse._dots_any(pointer, column, left, x),
    ]
    assert_same(gathered, fused)


def test_half_precision_states_are_summed_in_full(side):
    x = states(side.rows.n_columns).detach().bfloat16()
    ones = torch.ones(len(side.rows.column))
    found = sparse.neighbour_sum(side.rows, side.back, ones, ones, x)
    torch.testing.assert_close(found, dense(side, ones) @ x.float(), **CLOSE)


def test_every_aggregator_has_its_counterpart():
    assert set(PYG) == set(AGGREGATORS)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_aggregators_are_torch_geometrics(side, name):
    x = states(side.rows.n_columns)
    row, column = side.ends
    expected = PYG[name]()(x[column], row, dim_size=side.rows.n_rows)
    found = aggregate(name, side.rows, side.back, x)
    assert_same(with_gradients(found, x), with_gradients(expected, x))


@pytest.mark.parametrize("scale", [10.0, 18.0])
def test_softmax_holds_where_states_are_far_apart(side, scale):
    x = (states(side.rows.n_columns) * scale).detach().requires_grad_()
    row, column = side.ends
    expected = PYG["softmax"]()(x[column], row, dim_size=side.rows.n_rows)
    found = aggregate("softmax", side.rows, side.back, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_softmax_of_states_far_below_the_others_stays_among_them():
    # nodes 0 and 1 are the neighbours of one row, node 2, far above them, of the other
    graph = random_graph(3, 5, share=1.0).keep(
        torch.tensor([True, True, False, False, False, True])
    )
    x = torch.tensor([[-300.0], [-200.0], [100.0], [0.0], [0.0]], requires_grad=True)
    found = aggregate("softmax", graph.by_user, graph.by_movie, x)
    assert -300 <= found[0] <= -200
    assert found[1] == 100
    found.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad[0] + x.grad[1] == 1


@pytest.mark.parametrize(
    "names", [*AGGREGATORS, "max+mean", "mean+std+softmax", "sum+powermean+max"]
)
def test_a_layer_with_plain_messages_is_sageconv(side, names):
    layer = SageLayer(small(hidden_dim=WIDTH, aggregator=names))
    conv = SAGEConv(WIDTH, WIDTH, aggr=[PYG[name]() for name in names.split("+")])
    conv.lin_l.load_state_dict(layer.neighbour.state_dict())
    conv.lin_r.load_state_dict(layer.own.state_dict())
    own, other = states(side.rows.n_rows), states(side.rows.n_columns)
    found = layer(side.rows, side.back, None, own, other)
    edge_index = torch.stack(side.ends[::-1])
    expected = conv((other, own), edge_index, size=(side.rows.n_columns, side.rows.n_rows))
    assert_same(
        with_gradients(found, own, other, *layer.parameters()),
        with_gradients(expected, own, other, *conv.parameters()),
    )


def test_context_is_the_shrunk_biases_and_what_they_leave():
    graph, mean, shrinkage = random_graph(), 3.2, 2.0
    statistics = GraphStatistics(graph, mean, shrinkage)
    movie_bias = torch.zeros(graph.n_movies)
    for movie in range(graph.n_movies):
        stars = graph.rating[graph.movie == movie]
        movie_bias[movie] = (stars - mean).sum() / (len(stars) + shrinkage)
    user_bias, left = torch.zeros(graph.n_users), graph.rating - mean - movie_bias[graph.movie]
    for user in range(graph.n_users):
        mine = left[graph.user == user]
        user_bias[user] = mine.sum() / (len(mine) + shrinkage)
    residual = left - user_bias[graph.user]
    torch.testing.assert_close(statistics.movie.bias, movie_bias)
    torch.testing.assert_close(statistics.user.bias, user_bias)
    torch.testing.assert_close(statistics.user.residual, residual)
    assert torch.equal(statistics.movie.back_residual, statistics.user.residual)
    assert torch.equal(statistics.user.back_residual, statistics.movie.residual)
    assert torch.equal(statistics.movie.residual, statistics.user.residual[graph.to_movie_order])


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("name", ["by_user", "by_movie"])
def test_liking_is_the_sum_of_states_times_residuals_over_a_power_of_the_degree(name, exponent):
    graph = random_graph()
    side, statistics = side_of(graph, name), GraphStatistics(graph, 3.0, 1.0)
    facts = statistics.user if name == "by_user" else statistics.movie
    x = states(side.rows.n_columns)
    total = dense(side, facts.residual) @ x
    divisor = {1.0: side.rows.degree, 0.5: side.rows.degree.sqrt(), 0.0: torch.ones(len(total))}
    expected = total / divisor[exponent].clamp(min=1)[:, None]
    found = facts.rating_weighted_sum(side.rows, side.back, x, exponent)
    assert_same(with_gradients(found, x), with_gradients(expected, x))
    torch.testing.assert_close(facts.log_degree, torch.log(1 + side.rows.degree) / 5)


def test_no_rating_and_no_shrinkage_is_a_bias_of_zero():
    statistics = GraphStatistics(random_graph(share=0.0), 3.0, 0.0)
    assert not statistics.user.bias.any()
    assert not statistics.movie.bias.any()
