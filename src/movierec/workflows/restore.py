"""A version's network, rebuilt from its files, and newcomers in its graph.

What `LoadedVersion.newcomer` answers is the user's half alone, in milliseconds and without torch:
the newcomer hears the movies. Here the movies hear the newcomer too, and through them everybody
who rated the same. It takes the time of a forward pass over all ratings and shows how far the fast
answer is from it (benchmarks/newcomers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from pydantic import ValidationError

from movierec.data.dataset import Dataset, FloatArray, Interactions
from movierec.data.splits import recorded_split
from movierec.errors import ArtifactError
from movierec.inference import LoadedVersion
from movierec.inference.load import data_of, load_version
from movierec.inference.newcomers import feature_row, one_user
from movierec.inference.person import Person
from movierec.models.arrays import NamedArrays
from movierec.models.graphsage.ensemble import as_one_module
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.network import GraphSage, Sizes
from movierec.models.graphsage.recommender import SageRecommender, feature_tensors
from movierec.models.graphsage.user_encoder import UserVectors
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualKernel, fit_residuals
from movierec.registry import Registry
from movierec.registry.safe_pickle import read_weights, safe_load
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.requests import MOST_MEMBERS

__all__ = [
    "in_graph",
    "largest_difference",
    "person_in_graph",
    "restore_sage",
    "with_newcomer",
]


def restore_sage(name: str, settings: Settings, device: torch.device) -> SageRecommender:
    """Rebuild the network or networks of a GraphSAGE version over the ratings it may know.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: a file is missing, changed or does not fit; no code in it is run.

    """
    with open_store(settings) as store:
        registry = Registry(settings, store)
        record = registry.get(name)
        dataset = data_of(store, record)
        state = safe_load(registry.file(name, "preprocessor.pkl"), {})
        weights = read_weights(registry.file(name, "graphsage_model.pth"))
        arrays = registry.arrays(name)
    preprocessor = FeaturePreprocessor.from_state(state)
    features = feature_tensors(preprocessor, dataset)
    models = _models(record, dataset, features)
    try:
        as_one_module(models).load_state_dict(weights)
    except RuntimeError as error:
        raise _misfit(record, str(error).splitlines()[-1].strip()) from error
    split = recorded_split(dataset, record.metadata.split)
    return SageRecommender(
        [model.to(device) for model in models],
        features,
        dataset.ratings.take(split.known),
        dataset.scale,
        arrays.get("calibration"),  # absent where nothing was fitted
        _kernel(arrays),
    )


def largest_difference(restored: SageRecommender, name: str, settings: Settings) -> float:
    """Return the largest gap in stars between the network's and the served predictions."""
    loaded = load_version(name, settings)
    known = loaded.known
    ours = restored.predict(known.user, known.movie)
    return float(np.abs(ours - loaded.recommender.predict(known.user, known.movie)).max())


def _models(
    record: VersionRecord, dataset: Dataset, features: tuple[torch.Tensor, torch.Tensor]
) -> list[GraphSage]:
    facts = record.metadata
    try:
        config = SageHyperparameters.model_validate(facts.hyperparameters)
        sizes = Sizes.of(dataset.scale, features, facts.required_mean_rating)
        count = facts.members or 1  # absent before there were any
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise _misfit(record, f"metadata.json: {error}") from error
    if not 1 <= count <= MOST_MEMBERS:
        raise _misfit(record, f"metadata.json: members = {count}")
    return [GraphSage(config, sizes) for _ in range(count)]


def _kernel(arrays: NamedArrays) -> ResidualKernel | None:
    return ResidualKernel.of(arrays) if "residual_kernel" in arrays else None


def _misfit(record: VersionRecord, cause: str) -> ArtifactError:
    return ArtifactError(
        f"The files of version {record.name} do not fit together: {cause}.",
        hint="Restore its folder from a backup, or train again.",
    )


def in_graph(
    name: str,
    settings: Settings,
    ratings: Mapping[str, float],
    features: Mapping[str, object] | None = None,
) -> Person:
    """Return a person with these ratings whom a GraphSAGE version has in its graph.

    `LoadedVersion.recommend_for` lists what they would get. Raises as `newcomer` and
    `restore_sage`.
    """
    version = load_version(name, settings)
    network = restore_sage(version.name, settings, torch.device("cpu"))
    return person_in_graph(version, network, ratings, features)


def person_in_graph(
    version: LoadedVersion,
    network: SageRecommender,
    ratings: Mapping[str, float],
    features: Mapping[str, object] | None = None,
) -> Person:
    """Return `in_graph`'s person where the version and its network are at hand."""
    person = version.newcomer(ratings, features)
    larger = with_newcomer(network, person, feature_row(version, person.features))
    return replace(person, recommender=_last_user(larger, person), reason="newcomer")


def with_newcomer(
    network: SageRecommender, person: Person, features: FloatArray
) -> SageRecommender:
    """Return the same weights over the graph with one more user, the last; `features`: (1, f).

    Their ratings are the newest, where the others have times.
    """
    users, movies = network.features
    larger = SageRecommender(
        network.members,
        (torch.cat([users, torch.from_numpy(features).to(users)]), movies),
        network.known,
        network.scale,
        network.calibration,
        network.kernel,
    )
    n, times = len(person.seen), network.known.timestamp
    now = None if times is None else np.full(n, times.max(initial=0))
    last = np.full(n, network.n_users)
    return larger.with_interactions(Interactions(last, person.seen, person.stars, now))


def _last_user(network: SageRecommender, person: Person) -> Recommender:
    """Return what answers for the last user alone; the residuals of all others are not needed."""
    factors = network.factors
    vectors = UserVectors(
        factors.rating_user[-1:], factors.rating_user_bias[-1:], factors.ranking_user[-1:]
    )
    own = one_user(factors, vectors)
    if network.kernel is None:
        return own
    zeros = np.zeros(len(person.seen), np.int64)
    return fit_residuals(own, Interactions(zeros, person.seen, person.stars), network.kernel)
