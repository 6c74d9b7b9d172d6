"""A newcomer as the graph would have them: the whole forward pass with them in it.

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

from movierec.data.dataset import FloatArray, Interactions
from movierec.inference import LoadedVersion, load_version
from movierec.inference.newcomers import feature_row, one_user
from movierec.inference.person import Person
from movierec.models.graphsage.recommender import SageRecommender
from movierec.models.graphsage.user_encoder import UserVectors
from movierec.models.protocol import Recommender
from movierec.models.residuals import fit_residuals
from movierec.settings import Settings
from movierec.workflows.restore import restore_sage

__all__ = ["in_graph", "person_in_graph", "with_newcomer"]


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
