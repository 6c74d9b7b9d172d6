"""From a version's files back to the network itself."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import ValidationError

from movierec.data.dataset import Dataset
from movierec.data.splits import recorded_split
from movierec.errors import ArtifactError
from movierec.inference.load import data_of, load_version
from movierec.models.arrays import NamedArrays
from movierec.models.ensemble import as_one_module
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.network import GraphSage, Sizes
from movierec.models.graphsage.recommender import SageRecommender, feature_tensors
from movierec.models.residuals import ResidualKernel
from movierec.registry import Registry
from movierec.registry.safe_pickle import read_weights, safe_load
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.requests import MOST_MEMBERS

__all__ = ["largest_difference", "restore_sage"]


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
