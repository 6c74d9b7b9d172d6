"""LightGCN as torch-geometric has it, trained with its own loss, kept as plain arrays.

torch and torch-geometric are imported when something is fitted, not before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.errors import NonFiniteError
from movierec.models.arrays import require_ratings
from movierec.models.baselines.base import (
    BaselineHyperparameters,
    BaselineKind,
    passes,
    step_size,
    vector_length,
)
from movierec.models.factors import FactorModel
from movierec.models.fields import setting

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BASELINES", "LightGCN"]

RESAMPLED = 10  # tries to replace a rated movie among the sampled ones


class LightGCNHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = vector_length(64, "16..256:log")
    num_layers: int = setting(
        3, "hops over which vectors are averaged", ge=1, le=10, unit="hops", search="1..4"
    )
    epochs: int = passes(31, "20..200:log", most=10_000)
    batch_size: int = setting(8192, "ratings per step", ge=1, le=10_000_000, unit="ratings")
    learning_rate: float = step_size(0.035, "0.001..0.05:log")
    regularization: float = setting(
        0.001,
        "L2 penalty on the vectors of a batch (lambda)",
        ge=0,
        le=10,
        search="1e-6..0.001:log",
    )


@dataclass(frozen=True)
class LightGCN:
    """Embeddings averaged over the neighbours of 0…L hops (He and others 2020).

    One random movie that the user has not rated is the lesser of each pair. A rating counts by
    being there, not by its height.
    """

    hyperparameters: LightGCNHyperparameters = field(default_factory=LightGCNHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:
        """Fit on the training part, on the CPU; the seed draws first vectors, order and pairs.

        The same seed gives the same vectors with the same number of threads.

        Raises:
            EmptyDataError: there are no training ratings.
            NonFiniteError: the loss became NaN or infinite.

        """
        require_ratings(train)
        vectors = self._trained(dataset, train, seed)
        return FactorModel(
            dataset.n_users,
            dataset.n_movies,
            dataset.scale,
            ranking_user=vectors[: dataset.n_users],
            ranking_movie=vectors[dataset.n_users :],
        )

    def _trained(self, dataset: Dataset, train: Interactions, seed: int) -> Any:
        import torch
        from torch_geometric.nn.models import LightGCN as Network

        rng, batch_size = np.random.default_rng(seed), self.hyperparameters.batch_size
        pairs, adjacency = _Pairs.of(dataset, train), _adjacency(dataset, train)
        with torch.random.fork_rng(devices=[]):  # the first vectors come from torch's own numbers
            torch.manual_seed(seed)
            network = Network(
                dataset.n_users + dataset.n_movies,
                self.hyperparameters.factors,
                self.hyperparameters.num_layers,
                normalize=False,  # the adjacency is normalised, once instead of at every step
            )
        optimizer = torch.optim.Adam(network.parameters(), self.hyperparameters.learning_rate)
        for _ in range(self.hyperparameters.epochs):
            for batch in pairs.batches(rng, batch_size):
                nodes = tuple(torch.from_numpy(part) for part in batch)
                _step(network, optimizer, adjacency, nodes, self.hyperparameters.regularization)
        with torch.no_grad():
            return network.get_embedding(adjacency).numpy()


def _step(
    network: Any,
    optimizer: Any,
    adjacency: Tensor,
    nodes: tuple[Tensor, ...],
    regularization: float,
) -> None:
    """Learn from a batch of users, a movie each has rated and one they have not."""
    import torch
    from torch.nn.functional import embedding

    optimizer.zero_grad()
    vectors = network.get_embedding(adjacency)
    # unlike indexing, the backward of embedding() adds in a fixed order on several threads
    user, rated, other = (embedding(part, vectors) for part in nodes)
    loss = network.recommendation_loss(
        (user * rated).sum(dim=1),
        (user * other).sum(dim=1),
        node_id=torch.unique(torch.cat(nodes)),
        lambda_reg=regularization,
    )
    if not torch.isfinite(loss):
        raise NonFiniteError(
            "LightGCN's loss became NaN or infinite.", hint="Lower the learning rate."
        )
    loss.backward()
    optimizer.step()


@dataclass(frozen=True)
class _Pairs:
    """Training pairs as numbers of nodes: users first, then movies."""

    user: IntArray
    movie: IntArray
    keys: IntArray  # user * n_movies + movie of every training rating, sorted
    n_users: int
    n_movies: int

    @classmethod
    def of(cls, dataset: Dataset, train: Interactions) -> _Pairs:
        keys = np.unique(train.user * dataset.n_movies + train.movie)
        user, movie = np.divmod(keys, dataset.n_movies)
        return cls(user, movie, keys, dataset.n_users, dataset.n_movies)

    def batches(
        self, rng: np.random.Generator, size: int
    ) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Yield users, rated movies and sampled movies of every pair once, in a random order."""
        order = rng.permutation(len(self.user))
        for start in range(0, len(order), size):
            user, movie = (side[order[start : start + size]] for side in (self.user, self.movie))
            yield user, self.n_users + movie, self.n_users + self._unrated(rng, user)

    def _unrated(self, rng: np.random.Generator, user: IntArray) -> IntArray:
        """Return a random movie per user; a rated one only where ten tries found no other."""
        movie = rng.integers(0, self.n_movies, len(user))
        for _ in range(RESAMPLED):
            rated = np.flatnonzero(self._is_rated(user, movie))
            movie[rated] = rng.integers(0, self.n_movies, len(rated))
        return movie

    def _is_rated(self, user: IntArray, movie: IntArray) -> Any:
        wanted = user * self.n_movies + movie
        place = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return self.keys[place] == wanted


def _adjacency(dataset: Dataset, train: Interactions) -> Tensor:
    """Return D^-1/2 A D^-1/2 of the bipartite graph as a sparse CSR tensor."""
    import torch

    rated = train.matrix(dataset.n_users, dataset.n_movies)
    rated.data = np.ones_like(rated.data)
    whole = sparse.block_array([[None, rated], [rated.T, None]], format="csr", dtype=np.float32)
    scale = sparse.diags_array(1 / np.sqrt(np.maximum(np.diff(whole.indptr), 1)))
    whole = (scale @ whole @ scale).astype(np.float32).tocsr()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(whole.indptr.astype(np.int64)),
            torch.from_numpy(whole.indices.astype(np.int64)),
            torch.from_numpy(whole.data),
            whole.shape,
            check_invariants=True,
        )


BASELINES = (
    BaselineKind(
        "lightgcn",
        "LightGCN",
        "Embeddings averaged over neighbours, trained to rank (torch-geometric).",
        LightGCNHyperparameters,
        LightGCN,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
)
