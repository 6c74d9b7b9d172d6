"""How long a training may take and how much memory it needs, told before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType

from movierec.errors import MovierecError
from movierec.models.graphsage.hyperparameters import (
    MOST_SCORES,
    SageHyperparameters,
    hyperparameters,
)
from movierec.store import DatasetRecord, Store
from movierec.store.costs import PastCost
from movierec.training.budget import NODE, graph_ratings
from movierec.workflows.requests import TrainRequest

__all__ = ["Estimate", "estimate"]

_PROCESS_MB = 650.0  # a process that has loaded torch and done nothing
_START_SECONDS = 6.0  # its start, the data, the evaluation and the saving
_HEAVY = ("max", "softmax", "powermean", "std")  # aggregators that look at each entry of each edge
_HEAVY_FACTOR = 6.0  # benchmarks/aggregation.py: max against mean
_PAIR_SHARE = 0.02  # a score of the whole catalogue against an entry of a message, in time


@dataclass(frozen=True)
class Estimate:
    """Wall seconds and peak MB, NaN where nothing tells; `runs` past runs here say so.

    `epoch_seconds` and `epochs` are those of one fit that does not stop early, `fits` how many
    there are.
    """

    seconds: float
    memory_mb: float
    runs: int
    epoch_seconds: float = math.nan
    epochs: int = 0
    fits: int = 1


@dataclass(frozen=True)
class _Size:
    n_users: int
    n_movies: int
    n_ratings: int


# MovieLens 100K on two CPU cores: `movierec benchmark --split u1 --models default,report`
_REFERENCE_SIZE = _Size(943, 1682, 100_000)
_REFERENCE_EPOCH: Mapping[str, float] = MappingProxyType({"default": 0.38, "report": 4.0})
_REFERENCE_MB = 1100.0


def estimate(store: Store, request: TrainRequest, data: DatasetRecord) -> Estimate:
    """Return what a training may cost, from the last ones of its preset on this machine.

    Of a GraphSAGE the seconds of an epoch are scaled by how much an epoch computes; without a
    past run they are those of a laptop with two cores. A baseline is known once it has run.
    """
    past = store.costs.of(request.preset)
    size = _Size(data.n_users, data.n_movies, data.n_ratings)
    return (_graphsage if request.is_graphsage else _baseline)(request, size, past)


def _baseline(_request: TrainRequest, size: _Size, past: Sequence[PastCost]) -> Estimate:
    seconds = [cost.seconds * size.n_ratings / cost.n_ratings for cost in past]
    return Estimate(median(seconds) if seconds else math.nan, math.nan, len(seconds))


def _graphsage(request: TrainRequest, size: _Size, past: Sequence[PastCost]) -> Estimate:
    hyper = hyperparameters(request.preset, **request.hyperparameters)
    work, fits = _work(hyper, size), request.members * (2 if request.refit else 1)
    known = [cost for cost in past if _tells(cost)]
    epoch = _median(
        (cost.epoch_seconds * work / _work(_of(cost), _size(cost)) for cost in known),
        otherwise=_reference_epoch(request.preset, work),
    )
    rest = _median((_rest(cost) for cost in known), otherwise=_START_SECONDS)
    memory = _median(
        (
            _scaled(cost.memory_mb, hyper, size, _of(cost), _size(cost))
            for cost in known
            if math.isfinite(cost.memory_mb)
        ),
        otherwise=_scaled(
            _REFERENCE_MB, hyper, size, hyperparameters("default"), _REFERENCE_SIZE
        ),
    )  # fmt: skip
    seconds = rest + fits * hyper.epochs * epoch
    return Estimate(seconds, memory, len(known), epoch, hyper.epochs, fits)


def _work(hyper: SageHyperparameters, size: _Size) -> float:
    """Return how much one epoch computes, in entries of messages."""
    weight = sum(_HEAVY_FACTOR if name in _HEAVY else 1.0 for name in hyper.aggregators)
    part = _part(hyper, size)
    step = part * hyper.hidden_dim * hyper.num_layers * weight
    parts = math.ceil(size.n_ratings / part)
    if parts > 1:
        step += NODE * size.n_movies * hyper.hidden_dim**2 / 64 * hyper.num_layers
    if hyper.ranks:
        step += _PAIR_SHARE * _scores(hyper, size) * _ranking_dim(hyper)
    whole = hyper.target_fraction or min(1.0, hyper.batch_size / part)
    return step * parts * math.ceil(1 / whole)


def _part(hyper: SageHyperparameters, size: _Size) -> int:
    """Return how many ratings a step's graph has."""
    part = graph_ratings(hyper, size.n_movies, size.n_ratings)
    return min(part or size.n_ratings, size.n_ratings)


def _scores(hyper: SageHyperparameters, size: _Size) -> int:
    """Return how many scores a step's ranking loss makes."""
    return min(size.n_users * min(size.n_movies, hyper.sampled_movies), MOST_SCORES)


def _scaled(
    memory: float, hyper: SageHyperparameters, size: _Size, was: SageHyperparameters, of: _Size
) -> float:
    """Return a measured peak for another model and another size of data, in MB."""
    return _PROCESS_MB + max(0.0, memory - _PROCESS_MB) * _room(hyper, size) / _room(was, of)


def _room(hyper: SageHyperparameters, size: _Size) -> float:
    """Return how many numbers a step holds: states of every layer, messages, scores."""
    share = _part(hyper, size) / size.n_ratings
    states = (share * size.n_users + size.n_movies) * hyper.hidden_dim * (hyper.num_layers + 1)
    at_once = 10.0 * (size.n_ratings + _part(hyper, size))
    return states + at_once + (_scores(hyper, size) if hyper.ranks else 0)


def _ranking_dim(hyper: SageHyperparameters) -> int:
    return hyper.ranking_dim or 2 * hyper.hidden_dim


def _reference_epoch(preset: str, work: float) -> float:
    known = preset if preset in _REFERENCE_EPOCH else "default"
    return _REFERENCE_EPOCH[known] * work / _work(hyperparameters(known), _REFERENCE_SIZE)


def _rest(cost: PastCost) -> float:
    request = _request_of(cost)
    fits = request.members * (2 if request.refit else 1)
    return max(_START_SECONDS / 2, cost.seconds - fits * cost.epochs * cost.epoch_seconds)


def _tells(cost: PastCost) -> bool:
    """Return whether a run measured its epochs and its model can still be made."""
    try:
        _of(cost)
    except MovierecError:
        return False
    return math.isfinite(cost.epoch_seconds)


def _of(cost: PastCost) -> SageHyperparameters:
    request = _request_of(cost)
    return hyperparameters(request.preset, **request.hyperparameters)


def _request_of(cost: PastCost) -> TrainRequest:
    return TrainRequest.of(**cost.request)


def _size(cost: PastCost) -> _Size:
    return _Size(cost.n_users, cost.n_movies, cost.n_ratings)


def _median(values: Iterable[float], *, otherwise: float) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else otherwise
