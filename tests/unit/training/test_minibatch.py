"""Steps on parts of a graph, against the whole graph with the same ratings hidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.graphsage.hyperparameters import SageHyperparameters, hyperparameters
from movierec.models.graphsage.layers import aggregate
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.models.graphsage.statistics import GraphStatistics
from movierec.training.budget import graph_ratings
from movierec.training.minibatch import MinibatchSampler
from movierec.training.targets import Step
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, fit, graph_of, small

PART = 150  # ratings, of some 1,200
MEAN = 3.4
WAYS = ("random", "newcomers", "later")


def config_of(**changes: object) -> SageHyperparameters:
    return small(**{**RICH, "graph_ratings": PART, **changes})


def graph(*, timestamps: bool = True) -> RatingGraph:
    dataset = make_dataset(60, 40, 0.5, timestamps=timestamps)
    return graph_of(dataset, dataset.ratings)


def draw_of(whole: RatingGraph, config: SageHyperparameters) -> MinibatchSampler:
    return MinibatchSampler(whole, config, torch.Generator().manual_seed(0))


def epoch_of(draw: MinibatchSampler) -> list[Step]:
    return list(draw.epoch(draw.minibatches * draw.turns))


def edges_of(step: Step, part: RatingGraph) -> list[tuple[int, int, float]]:
    """Return the part's edges in the numbers of the whole graph."""
    users, movies = step.nodes
    ends = users[part.user.long()].tolist(), movies[part.movie.long()].tolist()
    return list(zip(*ends, part.rating.tolist(), strict=True))


def all_edges(whole: RatingGraph) -> list[tuple[int, int, float]]:
    return list(zip(whole.user.tolist(), whole.movie.tolist(), whole.rating.tolist(), strict=True))


def test_every_rating_is_asked_for_once_an_epoch_and_hidden_then():
    whole = graph()
    draw = draw_of(whole, config_of(hiding="random"))
    steps = epoch_of(draw)
    assert draw.minibatches > 5
    assert len(steps) == draw.minibatches * draw.turns
    asked = [edge for step in steps for edge in edges_of(step, step.targets)]
    assert sorted(asked) == all_edges(whole)
    for step in steps:
        assert not set(edges_of(step, step.targets)) & set(edges_of(step, step.visible))


def test_a_part_is_some_users_with_all_their_ratings():
    whole = graph()
    draw = draw_of(whole, config_of())
    for step in epoch_of(draw)[: draw.minibatches]:
        users = set(step.nodes[0].tolist())
        own = [edge for edge in all_edges(whole) if edge[0] in users]
        assert sorted(edges_of(step, step.targets) + edges_of(step, step.visible)) == own
    everybody = torch.cat([step.nodes[0] for step in epoch_of(draw)[: draw.minibatches]])
    assert everybody.sort().values.tolist() == list(range(whole.n_users))


def seen_whole(step: Step, whole: RatingGraph) -> RatingGraph:
    """Return the whole graph as it is visible in a step."""
    hidden = set(edges_of(step, step.targets))
    return whole.keep(torch.tensor([edge not in hidden for edge in all_edges(whole)]))


def moments_of(part: RatingGraph, default: int) -> list[int]:
    return part.moment.tolist() or [default]


@pytest.mark.parametrize("hiding", ["random", "newcomers"])
def test_what_counts_alone_say_is_that_of_the_whole_graph(hiding):
    whole, config = graph(), config_of(hiding=hiding)
    for step in epoch_of(draw_of(whole, config)):
        part = GraphStatistics(step.visible, MEAN, 2.0)
        full = GraphStatistics(seen_whole(step, whole), MEAN, 2.0)
        users, movies = step.nodes
        for found, expected, nodes in (
            (part.movie, full.movie, movies), (part.user, full.user, users),
        ):  # fmt: skip
            torch.testing.assert_close(found.degree, expected.degree[nodes])
            torch.testing.assert_close(found.bias, expected.bias[nodes], rtol=1e-4, atol=1e-5)


def test_of_later_ratings_nothing_is_visible_and_the_newest_are_counted(monkeypatch):
    whole, config = graph(), config_of(hiding="later")
    cut = 700
    monkeypatch.setattr(
        "movierec.training.targets.moment_bounds", lambda *_: (cut, cut + 200)
    )  # what is drawn otherwise
    for step in epoch_of(draw_of(whole, config)):
        newest = (whole.moment < cut) & (whole.moment >= 630)
        count = torch.bincount(whole.movie[newest], minlength=whole.n_movies)
        statistics = GraphStatistics(step.visible, MEAN, 2.0)
        assert statistics._newest_of_movies().tolist() == count[step.nodes[1]].tolist()
        before = torch.bincount(whole.movie[whole.moment < cut], minlength=whole.n_movies)
        assert statistics.movie.degree.tolist() == before[step.nodes[1]].tolist()
        assert max(moments_of(step.visible, default=0)) < cut
        assert min(moments_of(step.targets, default=cut)) >= cut
        assert max(moments_of(step.targets, default=cut)) < cut + 200


def test_a_mean_over_a_part_is_the_mean_over_its_users_and_a_sum_is_scaled_up():
    whole, config = graph(), config_of(aggregator="sum+mean")
    step = epoch_of(draw_of(whole, config))[0]
    rows, back = step.visible.by_movie, step.visible.by_user
    ones = torch.ones(step.visible.n_users, 2)
    rated = rows.degree > 0
    mean, total = (aggregate(name, rows, back, ones) for name in ("mean", "sum"))
    assert (mean[rated] == 1).all()
    torch.testing.assert_close(total[rated][:, 0], rows.full_degree[rated])
    assert (rows.full_degree > rows.degree).any()


def test_ranked_movies_are_in_the_step_even_where_nobody_of_it_rated_them():
    whole, config = graph(), config_of(sampled_movies=20)
    for step in epoch_of(draw_of(whole, config)):
        sample, log_count = step.negatives.sample
        assert len(sample) == len(log_count) == 20
        assert 0 <= sample.min() <= sample.max() < step.visible.n_movies


def test_too_many_users_are_ranked_in_samples(monkeypatch):
    degree = torch.ones(40)
    monkeypatch.setattr("movierec.models.graphsage.negative_sampling.MOST_SCORES", 40 * 25)
    generator = torch.Generator().manual_seed(0)
    sizes = [
        int(NegativeSample.draw(degree, 100, small(**RICH), generator).users.sum())
        for _ in range(200)
    ]
    assert abs(np.mean(sizes) - 25) < 2
    assert NegativeSample.draw(degree, 25, small(**RICH), generator).users is None


def test_without_hiding_a_part_asks_for_all_it_shows():
    config = small(graph_ratings=PART, learning_rate=0.005)
    whole = graph()
    steps = epoch_of(draw_of(whole, config))
    assert sorted(edge for s in steps for edge in edges_of(s, s.targets)) == all_edges(whole)
    assert all(edges_of(s, s.targets) == edges_of(s, s.visible) for s in steps)


def test_without_hiding_a_part_is_asked_for_in_batches():
    whole = graph()
    draw = draw_of(whole, small(graph_ratings=PART, learning_rate=0.005, batch_size=40))
    assert draw.turns == 4
    steps = epoch_of(draw)
    asked = [edge for s in steps for edge in edges_of(s, s.targets)]
    assert sorted(asked) == all_edges(whole)
    for step in steps:
        assert set(edges_of(step, step.targets)) < set(edges_of(step, step.visible))


def test_foreseeing_needs_times():
    with pytest.raises(HyperparameterError, match="hiding later needs rating times"):
        draw_of(graph(timestamps=False), config_of(hiding="later"))


@pytest.mark.parametrize("hiding", WAYS)
def test_training_in_parts_learns_what_training_on_the_whole_does(hiding):
    dataset = make_dataset(120, 40, 0.4)
    changes = {**RICH, "hiding": hiding, "epochs": 12, "early_stopping_patience": 12}
    parts = fit(small(**changes, graph_ratings=400), dataset).result
    whole = fit(small(**changes), dataset).result
    assert parts.best.val_loss < whole.history[0].val_loss
    assert parts.best.val_loss < 1.1 * whole.best.val_loss


def test_the_cost_model_takes_small_graphs_whole_and_large_ones_in_parts_that_pay():
    default = hyperparameters("default")
    assert graph_ratings(default, 1_682, 72_000) == 0
    assert graph_ratings(default, 3_883, 720_000) == 0
    part = graph_ratings(default, 87_585, 23_000_000)
    assert 1_000_000 < part < 5_000_000
    assert graph_ratings(default, 200_000, 23_000_000) > part
    chosen = hyperparameters("default", graph_ratings=5)
    assert graph_ratings(chosen, 87_585, 23_000_000) == 5
