"""The graph against a dense matrix, and against torch-geometric."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from movierec.csr import CSR
from movierec.data.dataset import Interactions
from movierec.data.splits import SplitSpec, make_split
from movierec.errors import DataError
from movierec.graph import RatingGraph
from tests.support.factories import make_dataset
from tests.support.sage_cases import graph_of

SPLITS = ("random", "temporal", "leave-last-n", "cold-users")


@st.composite
def rating_tables(draw):
    """Return a dense table of stars, 0 where nobody rated, and its ratings in any order."""
    n_users, n_movies = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stars = st.integers(0, 5)
    rows = st.lists(stars, min_size=n_movies, max_size=n_movies)
    table = np.array(draw(st.lists(rows, min_size=n_users, max_size=n_users)), np.float32)
    user, movie = np.nonzero(table)
    order = np.array(draw(st.permutations(range(len(user)))), np.int64)
    user, movie = user[order].astype(np.int64), movie[order].astype(np.int64)
    return table, Interactions(user, movie, table[user, movie])


def dense(layout: CSR, value: Tensor) -> np.ndarray:
    """Read a layout row by row, the slow and obvious way."""
    table = np.zeros((layout.n_rows, layout.n_columns), np.float32)
    for row in range(layout.n_rows):
        for edge in range(int(layout.pointer[row]), int(layout.pointer[row + 1])):
            table[row, int(layout.column[edge])] = value[edge]
    return table


def assert_is(graph: RatingGraph, table: np.ndarray) -> None:
    """Both layouts and the edge arrays say the same as the table."""
    user, movie = np.nonzero(table)
    assert graph.user.tolist() == user.tolist()
    assert graph.movie.tolist() == movie.tolist()
    assert graph.rating.tolist() == table[user, movie].tolist()
    assert (graph.n_users, graph.n_movies, graph.n_edges) == (*table.shape, len(user))
    np.testing.assert_array_equal(dense(graph.by_user, graph.rating), table)
    by_movie = graph.rating[graph.to_movie_order]
    np.testing.assert_array_equal(dense(graph.by_movie, by_movie), table.T)
    for layout, matrix in ((graph.by_user, table), (graph.by_movie, table.T)):
        assert layout.degree.tolist() == (matrix > 0).sum(1).tolist()
        assert layout.row.tolist() == np.nonzero(matrix)[0].tolist()


def tensors(graph: RatingGraph) -> list[Tensor]:
    layouts = [graph.by_user, graph.by_movie]
    moments = [] if graph.moment is None else [graph.moment]
    return [graph.to_movie_order, graph.user, graph.rating, *moments] + [
        tensor for layout in layouts for tensor in (layout.pointer, layout.column)
    ]


def test_tensors_names_every_tensor_of_a_graph():
    names = {field.name for field in fields(RatingGraph)} | {f.name for f in fields(CSR)}
    assert names == {
        "by_user", "by_movie", "to_movie_order", "user", "rating", "moment",
        "pointer", "column", "n_columns", "outside_degree", "full_graph", "outside",
    }  # fmt: skip


@hypothesis_settings(max_examples=60, deadline=None)
@given(rating_tables())
def test_both_layouts_hold_the_ratings(case):
    table, ratings = case
    assert_is(RatingGraph.build(ratings, *table.shape), table)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rating_tables(), st.data())
def test_the_order_of_the_ratings_does_not_matter(case, data):
    table, ratings = case
    ratings = timed(ratings, data)
    order = np.array(data.draw(st.permutations(range(len(ratings)))), np.int64)
    one = RatingGraph.build(ratings, *table.shape)
    other = RatingGraph.build(ratings.take(order), *table.shape)
    pairs = zip(tensors(one), tensors(other), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rating_tables(), st.data())
def test_keep_select_and_without_take_the_right_edges(case, data):
    table, ratings = case
    graph = RatingGraph.build(ratings, *table.shape)
    n = graph.n_edges
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    user, movie = np.nonzero(table)
    kept, dropped = table.copy(), table.copy()
    kept[user[~mask], movie[~mask]] = 0
    dropped[user[mask], movie[mask]] = 0
    edges = torch.from_numpy(np.flatnonzero(mask))
    assert_is(graph.keep(torch.from_numpy(mask)), kept)
    assert_is(graph.select(edges), kept)
    assert_is(graph.without(edges), dropped)
    assert_is(graph.without(edges[torch.randperm(len(edges))]), dropped)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rating_tables(), st.data())
def test_the_moment_is_the_place_in_time_and_stays_with_its_edge(case, data):
    table, ratings = case
    ratings = timed(ratings, data)
    graph = RatingGraph.build(ratings, *table.shape)
    # the slow and obvious way: the oldest first, equal times by user, then movie
    triples = zip(ratings.timestamp, ratings.user, ratings.movie, strict=True)
    place = {(user, movie): n for n, (_, user, movie) in enumerate(sorted(triples))}
    for part in parts_of(graph, data):
        pairs = zip(part.user.tolist(), part.movie.tolist(), strict=True)
        assert part.moment.tolist() == [place[pair] for pair in pairs]


@hypothesis_settings(max_examples=10, deadline=None)
@given(rating_tables(), st.data())
def test_without_times_no_edge_has_a_moment(case, data):
    table, ratings = case
    graph = RatingGraph.build(ratings, *table.shape)
    assert all(part.moment is None for part in parts_of(graph, data))


def timed(ratings: Interactions, data) -> Interactions:
    """Give the ratings times, of which many are equal."""
    n = len(ratings)
    times = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return replace(ratings, timestamp=np.array(times, np.int64))


def parts_of(graph: RatingGraph, data) -> list[RatingGraph]:
    """Return a graph and what each of its methods makes of it."""
    n = graph.n_edges
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    edges = mask.nonzero()[:, 0]
    moved = graph.to(torch.device("cpu"))
    return [graph, graph.keep(mask), graph.select(edges), graph.without(edges), moved]


def test_hiding_twice_is_hiding_both():
    dataset = make_dataset()
    graph = graph_of(dataset, dataset.ratings)
    table = dense(graph.by_user, graph.rating)
    half = graph.without(torch.arange(0, graph.n_edges, 2))
    rest = half.without(torch.arange(0, half.n_edges, 2))
    table[graph.user[0::2], graph.movie[0::2]] = 0
    table[half.user[0::2], half.movie[0::2]] = 0
    assert_is(rest, table)


def test_to_a_device_moves_every_tensor():
    dataset = make_dataset(5, 5)
    moved = graph_of(dataset, dataset.ratings).to(torch.device("meta"))
    assert moved.moment is not None
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}


def test_hetero_data_says_the_same_and_reads_back():
    dataset = make_dataset(timestamps=False)
    graph = graph_of(dataset, dataset.ratings)
    users, movies = torch.randn(dataset.n_users, 3), torch.randn(dataset.n_movies, 4)
    data = graph.to_hetero_data(users, movies)
    assert data.validate(raise_on_error=True)
    assert not data.has_isolated_nodes()
    assert torch.equal(data["user"].x, users)
    assert torch.equal(data["movie"].x, movies)
    for kind, flipped in (("rates", False), ("rated_by", True)):
        ends = ("movie", "user") if flipped else ("user", "movie")
        edges = data[ends[0], kind, ends[1]]
        user, movie = edges.edge_index.flip(0) if flipped else edges.edge_index
        back = Interactions(user.numpy(), movie.numpy(), edges.edge_attr[:, 0].numpy())
        again = graph_of(dataset, back)
        pairs = zip(tensors(graph), tensors(again), strict=True)
        assert all(torch.equal(left, right) for left, right in pairs)


@pytest.mark.parametrize(
    ("user", "movie", "complaint"),
    [
        ([0, 1, 1], [2, 0, 0], "User 1 rated movie 0 twice"),
        ([1, 0, 1], [0, 2, 0], "User 1 rated movie 0 twice"),
        ([0, 3], [0, 0], "A user index lies outside 0…2"),
        ([-1, 0], [0, 0], "A user index lies outside 0…2"),
        ([0, 1], [0, 4], "A movie index lies outside 0…3"),
        ([0, 1], [-1, 0], "A movie index lies outside 0…3"),
    ],
)
def test_impossible_ratings_are_refused(user, movie, complaint):
    stars = np.ones(len(user), np.float32)
    ratings = Interactions(np.array(user), np.array(movie), stars)
    with pytest.raises(DataError, match=complaint):
        RatingGraph.build(ratings, 3, 4)


@pytest.mark.parametrize("name", SPLITS)
def test_the_train_graph_of_a_split_has_no_held_out_edge(name):
    dataset = make_dataset()
    split = make_split(dataset, SplitSpec(name=name))
    graph = graph_of(dataset, dataset.ratings.take(split.train))
    edges = pairs_of(graph)
    for part in (split.validation, split.test, split.support):
        held = dataset.ratings.take(part)
        assert not edges & set(zip(held.user.tolist(), held.movie.tolist(), strict=True))
    assert len(edges) == len(split.train)
    # a planted leak is seen
    leaky = graph_of(dataset, dataset.ratings.take(np.append(split.train, split.test[0])))
    assert len(pairs_of(leaky) - edges) == 1


def pairs_of(graph: RatingGraph) -> set[tuple[int, int]]:
    return set(zip(graph.user.tolist(), graph.movie.tolist(), strict=True))
