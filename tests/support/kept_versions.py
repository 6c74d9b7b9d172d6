"""Versions as a training keeps them, of models made by hand: to be compared, not to be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from movierec.comparison.evidence import Evidence, read_evidence
from movierec.data.dataset import Dataset
from movierec.data.splits import SplitSpec, make_split
from movierec.evaluation import Evaluation, evaluate
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import Store
from tests.support.eval_oracle import TableModel
from tests.support.factories import make_dataset

__all__ = ["DATA", "Kept", "guess", "measured"]

DATA = make_dataset(60, 40, 0.4)


def guess(dataset: Dataset = DATA, noise: float = 0.6, seed: int = 0) -> TableModel:
    """Predict the truth and noise of so many stars; the less noise, the better the ranking too."""
    rng = np.random.default_rng(seed)
    shape = dataset.n_users, dataset.n_movies
    stars = np.full(shape, 2.0)
    stars[dataset.ratings.user, dataset.ratings.movie] = dataset.ratings.rating
    found = stars + rng.normal(scale=noise, size=shape)
    return TableModel(found, found)


def measured(
    model: TableModel, split: SplitSpec, dataset: Dataset = DATA, k: int = 10
) -> Evaluation:
    return evaluate(model, dataset, make_split(dataset, split), k=k)


@dataclass(frozen=True)
class Kept:
    """A project whose versions are kept through the registry."""

    settings: Settings
    store: Store
    split: SplitSpec = field(default_factory=SplitSpec)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings, self.store)

    def keep(
        self,
        noise: float = 0.6,
        *,
        split: SplitSpec | None = None,
        dataset: Dataset = DATA,
        k: int = 10,
        seed: int = 0,
        model: TableModel | None = None,
        change: Callable[[dict[str, Any]], object] | None = None,
        users: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
        content: bytes | None = None,
        **facts: Any,
    ) -> str:
        """Keep a version; `change` edits its metadata, `users` its per-user file."""
        spec = split or self.split
        made = make_split(dataset, spec)
        found = evaluate(model or guess(dataset, noise, seed), dataset, made, k=k)
        metadata = {
            "evaluation": found.as_dict(), "slices": found.slice_rows(), "split": spec.model_dump(),
            "split_test_sha256": made.sha256, "seed": seed, "members": 1, "refit": False,
            "hyperparameters": {"hidden_dim": 16, "dropout": 0.1}, "libraries": {"numpy": "2.0"},
            "durations": {"total": 1.5}, "peak_memory_mb": 100.0, "floors": {}, **facts,
        }  # fmt: skip
        if change is not None:
            change(metadata)
        frame = users(found.per_user)
        files: Mapping[str, Any] = {
            "per_user.parquet": content or frame.to_parquet,
            "per_rating.parquet": found.per_rating.to_parquet,
        }
        draft = VersionDraft(
            "table", "default", dataset.name, dataset.fingerprint, spec.label,
            VersionMetadata.of(metadata), files,
            {"a": np.zeros(1)}, parameters=7,
        )  # fmt: skip
        return self.registry.save(draft).name

    def evidence(self, *names: str) -> list[Evidence]:
        return [read_evidence(self.registry, name) for name in names]

    def folder(self, name: str) -> Path:
        return self.settings.models_path / name
