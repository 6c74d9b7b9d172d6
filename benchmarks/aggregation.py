"""How much the sparse products save over one row per edge: ratios measured in one run.

python benchmarks/aggregation.py [--threads 2] [--edges 72000] [--width 64]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from movierec.data.dataset import Interactions
from movierec.graph import RatingGraph
from movierec.models.graphsage.layers import aggregate

N_USERS, N_MOVIES = 943, 1682  # MovieLens 100K
REPEATS = 20


def main() -> None:
    """Print milliseconds of forward and backward, and the ratio between the two ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--edges", type=int, default=72_000)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    graph = _graph(options.edges)
    states = torch.randn(N_MOVIES, options.width)
    print(f"{graph.n_edges:,} edges, width {options.width}, {options.threads} threads")
    print(f"{'aggregator':<10} {'product ms':>10} {'per edge ms':>11} {'ratio':>6}")
    for name, gathered in (("mean", _gathered_mean), ("max", _gathered_max)):
        fused = _milliseconds(lambda x, name=name: aggregate(name, *_layouts(graph), x), states)
        plain = _milliseconds(lambda x, way=gathered: way(graph, x), states)
        print(f"{name:<10} {fused:>10.2f} {plain:>11.2f} {plain / fused:>6.1f}")


def _graph(n_edges: int) -> RatingGraph:
    """Return random distinct edges with popular movies, as in rating data."""
    rng = np.random.default_rng(0)
    popularity = rng.pareto(1.2, N_MOVIES) + 0.05
    weights = np.tile(popularity / popularity.sum() / N_USERS, N_USERS)
    cells = rng.choice(N_USERS * N_MOVIES, n_edges, replace=False, p=weights)
    stars = rng.integers(1, 6, n_edges).astype(np.float32)
    return RatingGraph.build(
        Interactions(cells // N_MOVIES, cells % N_MOVIES, stars), N_USERS, N_MOVIES
    )


def _layouts(graph: RatingGraph) -> tuple:
    return graph.by_user, graph.by_movie


def _gathered_mean(graph: RatingGraph, x: Tensor) -> Tensor:
    total = x.new_zeros(N_USERS, x.shape[1]).index_add(0, graph.user, x[graph.movie])
    return total / graph.by_user.degree.clamp(min=1)[:, None]


def _gathered_max(graph: RatingGraph, x: Tensor) -> Tensor:
    row = graph.user[:, None].expand(-1, x.shape[1])
    return x.new_zeros(N_USERS, x.shape[1]).scatter_reduce(
        0, row, x[graph.movie], "amax", include_self=False
    )


def _milliseconds(work: Callable[[Tensor], Tensor], states: Tensor) -> float:
    """Return the fastest of several forward and backward passes."""
    best = float("inf")
    for _ in range(REPEATS):
        x = states.clone().requires_grad_()
        started = time.perf_counter()
        work(x).sum().backward()
        best = min(best, time.perf_counter() - started)
    return best * 1000


if __name__ == "__main__":
    main()
