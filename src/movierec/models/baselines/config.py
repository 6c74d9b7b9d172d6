"""Hyperparameters of the baselines: strict, bounded, each with a text that says what it does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "TUNED",
    "ALSHyperparameters",
    "BPRHyperparameters",
    "BaselineHyperparameters",
    "BiasesHyperparameters",
    "EASEHyperparameters",
    "LightGCNHyperparameters",
    "MyFMHyperparameters",
    "NeighboursHyperparameters",
    "SVDHyperparameters",
    "SVDppHyperparameters",
]


class BaselineHyperparameters(BaseModel):
    """Base of them all, and all there is to set for a model that has nothing to set."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BiasesHyperparameters(BaselineHyperparameters):
    """Defaults are those of Surprise's alternating least squares."""

    epochs: int = Field(10, ge=1, le=1000, description="alternations between users and movies")
    user_regularization: float = Field(
        15.0,
        gt=0,
        le=1e6,
        description="ratings at the mean added to each user; more shrinks the user's bias",
    )
    movie_regularization: float = Field(
        10.0,
        gt=0,
        le=1e6,
        description="ratings at the mean added to each movie; more shrinks the movie's bias",
    )


class SVDHyperparameters(BaselineHyperparameters):
    """Defaults are those of Surprise's SVD."""

    factors: int = Field(100, ge=1, le=1000, description="length of the user and movie vectors")
    epochs: int = Field(20, ge=1, le=1000, description="passes over the training ratings")
    learning_rate: float = Field(0.005, gt=0, le=1, description="step of the gradient descent")
    regularization: float = Field(0.02, ge=0, le=10, description="L2 penalty on every parameter")


class SVDppHyperparameters(SVDHyperparameters):
    """Defaults are those of Surprise's SVD++."""

    factors: int = Field(20, ge=1, le=1000, description="length of the user and movie vectors")
    learning_rate: float = Field(0.007, gt=0, le=1, description="step of the gradient descent")


class NeighboursHyperparameters(BiasesHyperparameters):
    """Koren's neighbourhood model with the shrunk Pearson-baseline similarity."""

    based_on: Literal["movies", "users"] = Field(
        "movies", description="whose neighbours are averaged: similar movies, or similar users"
    )
    neighbours: int = Field(40, ge=1, le=10_000, description="most neighbours per prediction (k)")
    min_neighbours: int = Field(
        1, ge=1, le=10_000, description="with fewer neighbours than this, only the biases count"
    )
    shrinkage: float = Field(
        100.0, ge=0, le=1e6, description="pulls similarities with few common ratings towards 0"
    )


class EASEHyperparameters(BaselineHyperparameters):
    """The one number of Steck's shallow autoencoder."""

    regularization: float = Field(
        500.0, gt=0, le=1e9, description="L2 penalty on the movie-to-movie weights (lambda)"
    )


class ALSHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = Field(32, ge=1, le=1000, description="length of the user and movie vectors")
    epochs: int = Field(40, ge=1, le=1000, description="alternations between users and movies")
    regularization: float = Field(35.0, ge=0, le=1e6, description="L2 penalty on the vectors")
    confidence: float = Field(
        5.6, gt=0, le=1e6, description="weight of a pair with a rating; one without has 1 (alpha)"
    )


class BPRHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = Field(16, ge=1, le=1000, description="length of the user and movie vectors")
    epochs: int = Field(173, ge=1, le=10_000, description="passes over the training ratings")
    learning_rate: float = Field(0.0035, gt=0, le=1, description="step of the gradient descent")
    regularization: float = Field(0.02, ge=0, le=10, description="L2 penalty on every parameter")


class LightGCNHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = Field(64, ge=1, le=1000, description="length of the user and movie vectors")
    num_layers: int = Field(3, ge=1, le=10, description="hops over which vectors are averaged")
    epochs: int = Field(31, ge=1, le=10_000, description="passes over the training ratings")
    batch_size: int = Field(8192, ge=1, le=10_000_000, description="ratings per step")
    learning_rate: float = Field(0.035, gt=0, le=1, description="step of the gradient descent")
    regularization: float = Field(
        0.001, ge=0, le=10, description="L2 penalty on the vectors of a batch (lambda)"
    )


class MyFMHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = Field(9, ge=1, le=1000, description="length of the vectors (rank)")
    samples: int = Field(300, ge=1, le=10_000, description="Gibbs samples that are averaged")
    burn_in: int = Field(20, ge=0, le=10_000, description="samples that are drawn and left out")


# The best of the older baselines on the validation part of `random` (docs/PEERS.md). Their
# defaults stay those of the libraries.
TUNED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "biases": MappingProxyType({"user_regularization": 2.1, "movie_regularization": 2.8}),
        "ease": MappingProxyType({"regularization": 410.0}),
        "knn": MappingProxyType({"neighbours": 65, "min_neighbours": 8, "shrinkage": 350.0}),
        "svd": MappingProxyType(
            {"factors": 200, "epochs": 80, "learning_rate": 0.0044, "regularization": 0.087}
        ),
        "svdpp": MappingProxyType(
            {"factors": 40, "epochs": 34, "learning_rate": 0.0063, "regularization": 0.083}
        ),
    }
)
