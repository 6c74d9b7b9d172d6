"""What the steps of an epoch show and ask for, by each way of hiding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.losses import step_loss
from movierec.training.targets import FullGraphSampler
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, graph_of, make_model, small

HIDING = ("random", "newcomers", "later")
FRACTION = 0.05  # of the newcomers' hidden ratings, few are hidden because of it
MOST_SHOWN = 10  # ratings of a newcomer
EPOCHS = 8


def hides(hiding: str, fraction: float = FRACTION) -> SageHyperparameters:
    return small(hiding=hiding, target_fraction=fraction)


def busy_graph(*, timestamps: bool = True) -> RatingGraph:
    """Make a graph in which every user has many more ratings than a newcomer shows."""
    dataset = make_dataset(40, 60, 0.9, timestamps=timestamps)
    graph = graph_of(dataset, dataset.ratings)
    assert graph.by_user.degree.min() > 4 * MOST_SHOWN
    return graph


def draw_of(graph: RatingGraph, config: SageHyperparameters, seed: int = 0) -> FullGraphSampler:
    return FullGraphSampler(graph, config, torch.Generator().manual_seed(seed))


Parts = tuple[RatingGraph, RatingGraph]  # what is visible, what is asked for


def epoch_of(draw: FullGraphSampler, steps: int | None = None) -> list[Parts]:
    count = draw.steps if steps is None else steps
    return [(step.visible, step.targets) for step in draw.epoch(count)]


def epochs_of(draw: FullGraphSampler, n_epochs: int = EPOCHS) -> list[Parts]:
    return [parts for _ in range(n_epochs) for parts in epoch_of(draw)]


def edges_of(graph: RatingGraph) -> list[tuple[int, int, float]]:
    return list(zip(graph.user.tolist(), graph.movie.tolist(), graph.rating.tolist(), strict=True))


def assert_halves(parts: Parts, graph: RatingGraph) -> None:
    """Every edge is in exactly one of the two graphs."""
    assert sorted(edges_of(parts[0]) + edges_of(parts[1])) == edges_of(graph)


def test_random_asks_for_every_rating_once_an_epoch_and_hides_it_then():
    graph = busy_graph()
    draw = draw_of(graph, hides("random", 0.2))
    orders = []
    for _ in range(2):
        epoch = epoch_of(draw)
        asked = [edge for _, targets in epoch for edge in edges_of(targets)]
        orders.append(asked)
        assert sorted(asked) == edges_of(graph)
        assert len(epoch) == 5
        for parts in epoch:
            assert_halves(parts, graph)
            assert parts[1].n_edges == pytest.approx(0.2 * graph.n_edges, abs=1)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("hiding", ["random", "auto"])
def test_without_a_target_fraction_every_rating_is_asked_for_once_and_always_visible(hiding):
    graph = busy_graph()
    draw = draw_of(graph, small(batch_size=300, hiding=hiding))
    epoch = epoch_of(draw)
    asked = [edge for _, targets in epoch for edge in edges_of(targets)]
    assert sorted(asked) == edges_of(graph)
    assert len(epoch) == -(-graph.n_edges // 300)
    assert all(edges_of(visible) == edges_of(graph) for visible, _ in epoch)


@pytest.mark.parametrize("hiding", HIDING)
def test_an_epoch_is_as_long_as_asked_for_and_never_longer(hiding):
    graph = busy_graph()
    lengths = [len(list(draw_of(graph, hides(hiding)).epoch(n))) for n in (0, 1, 7, 20, 999)]
    assert lengths == [0, 1, 7, 20, 20]
    whole, short = (epoch_of(draw_of(graph, hides(hiding)), n) for n in (20, 3))
    assert drawn(whole[:3]) == drawn(short)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("hiding", HIDING)
def test_the_same_seed_gives_the_same_draws(hiding, timestamps):
    if hiding == "later" and not timestamps:
        pytest.skip("refused, see below")
    graph = busy_graph(timestamps=timestamps)
    one, two, other = (
        drawn(epochs_of(draw_of(graph, hides(hiding), seed), 1)) for seed in (5, 5, 6)
    )
    assert one == two != other


def drawn(steps: list[Parts]) -> list[list]:
    return [edges_of(part) for parts in steps for part in parts]


@pytest.mark.parametrize("timestamps", [True, False])
def test_newcomers_hide_all_but_a_few_ratings_of_a_tenth_of_the_users(timestamps):
    graph = busy_graph(timestamps=timestamps)
    steps = epochs_of(draw_of(graph, hides("newcomers")))
    newcomers, shown = 0, set()
    for parts in steps:
        assert_halves(parts, graph)
        new = newcomers_of(parts, graph)
        newcomers += len(new)
        shown |= {int(parts[0].by_user.degree[user]) for user in new}
    # 6,400 draws of 1 in 10: five standard deviations
    assert newcomers / (len(steps) * graph.n_users) == pytest.approx(0.1, abs=0.02)
    assert shown == set(range(MOST_SHOWN + 1))


def newcomers_of(parts: Parts, graph: RatingGraph) -> list[int]:
    """Return who hides more than half of the ratings; the others hide about 1 in 20."""
    hidden = parts[1].by_user.degree / graph.by_user.degree
    return (hidden > 0.5).nonzero()[:, 0].tolist()


def test_newcomers_show_their_oldest_ratings():
    graph = busy_graph()
    for visible, targets in epochs_of(draw_of(graph, hides("newcomers"))):
        for user in newcomers_of((visible, targets), graph):
            mine = graph.moment[graph.user == user].sort().values
            shown = visible.moment[visible.user == user]
            assert set(shown.tolist()) <= set(mine[:MOST_SHOWN].tolist())


def test_without_times_newcomers_show_any_of_their_ratings():
    graph = busy_graph(timestamps=False)
    places = []
    for visible, targets in epochs_of(draw_of(graph, hides("newcomers"))):
        for user in newcomers_of((visible, targets), graph):
            mine = graph.movie[graph.user == user].tolist()
            places += [mine.index(m) / len(mine) for m in visible.movie[visible.user == user]]
    places = torch.tensor(places)
    assert float(places.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(places.std()) == pytest.approx(12**-0.5, abs=0.03)


def test_newcomers_keep_asking_for_every_rating_once_an_epoch():
    graph = busy_graph()
    draw = draw_of(graph, hides("newcomers"))
    asked = {edge for _, targets in epochs_of(draw, 1) for edge in edges_of(targets)}
    assert asked == set(edges_of(graph))


def test_later_asks_for_what_comes_right_after_a_moment():
    graph, fraction = busy_graph(), 0.2
    n, cuts = graph.n_edges, set()
    rating_at = dict(zip(graph.moment.tolist(), edges_of(graph), strict=True))
    for visible, targets in epochs_of(draw_of(graph, hides("later", fraction)), 40):
        cut, last = visible.n_edges, int(targets.moment.max()) + 1
        assert sorted(visible.moment.tolist()) == list(range(cut))
        assert sorted(targets.moment.tolist()) == list(range(cut, last))
        assert last == min(cut + int(fraction * n), n)
        for part in (visible, targets):
            assert [rating_at[m] for m in part.moment.tolist()] == edges_of(part)
        cuts.add(cut)
    assert len(cuts) > 150  # of 200 steps
    # anywhere from a fifth to nearly all of the ratings may be visible
    assert 0.2 * n <= min(cuts) < 0.25 * n
    assert 0.9 * n < max(cuts) <= 0.95 * n


def test_later_without_times_says_what_to_do():
    with pytest.raises(HyperparameterError, match="needs rating times") as caught:
        draw_of(busy_graph(timestamps=False), hides("later"))
    assert "Set hiding to random" in caught.value.hint
    assert "import the ratings with their timestamps" in caught.value.hint


@pytest.mark.parametrize("n_edges", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.9])
@pytest.mark.parametrize("hiding", HIDING)
def test_a_step_on_a_tiny_graph_shows_and_asks_for_something(hiding, fraction, n_edges):
    dataset = make_dataset()
    graph = graph_of(dataset, dataset.ratings.take(np.arange(n_edges)))
    steps = epochs_of(draw_of(graph, hides(hiding, fraction)), 20)
    assert len(steps) == 20 * min(n_edges, max(2, round(1 / fraction)))
    for visible, targets in steps:
        # all the users of so small a graph may be newcomers without a rating
        assert visible.n_edges or hiding == "newcomers"
        assert targets.n_edges


def test_a_step_that_shows_nothing_can_be_learnt_from():
    made = make_model(small(**{**RICH, "hiding": "newcomers"}))
    nothing_visible = made.graph.keep(torch.zeros(made.graph.n_edges, dtype=torch.bool))
    parts = step_loss(made.model, nothing_visible, made.graph, made.features)
    sum(parts.values()).backward()
    gradients = [weight.grad for weight in made.model.parameters() if weight.grad is not None]
    assert gradients
    assert all(torch.isfinite(tensor).all() for tensor in [*parts.values(), *gradients])


@pytest.mark.parametrize("hiding", ["newcomers", "later"])
def test_hiding_needs_a_target_fraction(hiding):
    with pytest.raises(HyperparameterError, match=f"hiding {hiding} needs a target_fraction"):
        small(hiding=hiding)
    assert hides(hiding).uses_trend is (hiding == "later")
