"""Every baseline by name, and every kind of model brought back from its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from movierec.errors import ArtifactError, HyperparameterError, NotFoundError
from movierec.models.baselines.biases import Biases
from movierec.models.baselines.config import (
    ALSHyperparameters,
    BaselineHyperparameters,
    BiasesHyperparameters,
    BPRHyperparameters,
    EASEHyperparameters,
    LightGCNHyperparameters,
    MyFMHyperparameters,
    NeighboursHyperparameters,
    SVDHyperparameters,
    SVDppHyperparameters,
)
from movierec.models.baselines.ease import EASE, EASEModel
from movierec.models.baselines.implicit import ALS, BPR
from movierec.models.baselines.knn import NeighbourModel
from movierec.models.baselines.lightgcn import LightGCN
from movierec.models.baselines.myfm import MyFM
from movierec.models.baselines.simple import GlobalMean, MostPopular, RandomModel, RandomOrder
from movierec.models.baselines.surprise import SVD, NearestNeighbours, SVDpp
from movierec.models.factors import FactorModel
from movierec.models.protocol import Estimator, Recommender
from movierec.models.residuals import ResidualModel
from movierec.models.serving import NamedArrays
from movierec.models.table import RatingTable

__all__ = [
    "BASELINES",
    "GRAPHSAGE",
    "BaselineKind",
    "baseline_kind",
    "load_recommender",
    "make_baseline",
]

GRAPHSAGE = "graphsage"


@dataclass(frozen=True)
class BaselineKind:
    """One baseline: how it is called, what can be set, how it is made and brought back."""

    name: str
    label: str
    description: str
    hyperparameters: type[BaselineHyperparameters]
    estimator: Callable[[Any], Estimator]  # takes an instance of `hyperparameters`
    from_arrays: Callable[[NamedArrays], Recommender]
    predicts_ratings: bool


_KINDS = (
    BaselineKind(
        "mean",
        "Global mean",
        "Predicts the mean training rating for everything.",
        BaselineHyperparameters,
        GlobalMean,
        FactorModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "biases",
        "Biases",
        "Mean rating plus how generous the user and how liked the movie is.",
        BiasesHyperparameters,
        Biases,
        FactorModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "popular",
        "Most popular",
        "Ranks movies by their number of ratings, the same for everybody.",
        BaselineHyperparameters,
        MostPopular,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "random",
        "Random order",
        "Ranks movies at random: the floor of every ranking metric.",
        BaselineHyperparameters,
        RandomOrder,
        RandomModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "svd",
        "SVD",
        "Biased matrix factorization by gradient descent (Surprise).",
        SVDHyperparameters,
        SVD,
        FactorModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "svdpp",
        "SVD++",
        "SVD that also learns from which movies a user rated at all (Surprise).",
        SVDppHyperparameters,
        SVDpp,
        FactorModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "knn",
        "kNN-Baseline",
        "Biases plus what the user gave to the most similar movies (Surprise).",
        NeighboursHyperparameters,
        NearestNeighbours,
        NeighbourModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "ease",
        "EASE",
        "Every rated movie votes for the others; linear, solved in closed form.",
        EASEHyperparameters,
        EASE,
        EASEModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "als",
        "ALS",
        "Weighted matrix factorization of who rated what (implicit).",
        ALSHyperparameters,
        ALS,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "bpr",
        "BPR",
        "Matrix factorization that ranks rated movies above others (implicit).",
        BPRHyperparameters,
        BPR,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "lightgcn",
        "LightGCN",
        "Embeddings averaged over neighbours, trained to rank (torch-geometric).",
        LightGCNHyperparameters,
        LightGCN,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "myfm",
        "myFM",
        "Bayesian factorization machine with all side information (myfm).",
        MyFMHyperparameters,
        MyFM,
        RatingTable.from_arrays,
        predicts_ratings=True,
    ),
)

BASELINES: Mapping[str, BaselineKind] = MappingProxyType({kind.name: kind for kind in _KINDS})


def baseline_kind(name: str) -> BaselineKind:
    """Return the baseline of this name; NotFoundError lists the names there are."""
    try:
        return BASELINES[name]
    except KeyError:
        raise NotFoundError(
            f"There is no baseline {name!r}.", hint=f"Choose one of {', '.join(BASELINES)}."
        ) from None


def make_baseline(name: str, hyperparameters: Mapping[str, Any] | None = None) -> Estimator:
    """Return the estimator of a baseline; what is not set has its default.

    Raises:
        NotFoundError: there is no baseline of this name.
        HyperparameterError: a value is unknown, of the wrong type or out of bounds.

    """
    kind = baseline_kind(name)
    try:
        values = kind.hyperparameters(**(hyperparameters or {}))
    except ValidationError as error:
        raise _refusal(kind, error) from error
    return kind.estimator(values)


def load_recommender(kind: str, arrays: NamedArrays) -> Recommender:
    """Bring a model back from what its `arrays()` gave: a baseline's name, or "graphsage".

    Raises:
        ArtifactError: the kind is unknown, or an array is missing or does not fit.

    """
    if kind == GRAPHSAGE:
        graphsage = ResidualModel if "residual_kernel" in arrays else FactorModel
        return graphsage.from_arrays(arrays)
    if kind not in BASELINES:
        raise ArtifactError(
            f"This version is of the unknown kind {kind!r}.",
            hint="It may come from a newer movierec; update and try again.",
        )
    return BASELINES[kind].from_arrays(arrays)


def _refusal(kind: BaselineKind, error: ValidationError) -> HyperparameterError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    known = ", ".join(kind.hyperparameters.model_fields) or "nothing"
    unknown = first["type"] == "extra_forbidden"
    cause = "it has no such hyperparameter" if unknown else first["msg"]
    return HyperparameterError(
        f"{kind.label}: {name} = {first['input']!r} cannot be used: {cause}.",
        hint=f"What can be set: {known}.",
    )
