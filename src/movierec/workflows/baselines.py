"""The reference baselines of a split, measured once and remembered."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from movierec.data.dataset import Dataset
from movierec.data.splits import Split
from movierec.evaluation import evaluate, reference_models
from movierec.models.factory import make_baseline
from movierec.settings import Settings

__all__ = ["measured_baselines"]

logger = logging.getLogger(__name__)

# raised whenever a baseline or a metric is defined anew, so that no old number is shown
EDITION = 2


def measured_baselines(dataset: Dataset, split: Split, settings: Settings) -> dict[str, Any]:
    """Return random, constant, popular and biases on this split, in `Evaluation.as_dict` form."""
    path = _remembered(dataset, split, settings)
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = _measure(dataset, split)
        _remember(path, found)
    return found


def _measure(dataset: Dataset, split: Split) -> dict[str, Any]:
    biases = make_baseline("biases").fit(dataset, dataset.ratings.take(split.learnable), seed=0)
    models = {**reference_models(dataset, split), "biases": biases}
    # one after the other: what is measured rating by rating is dropped before the next
    return {name: evaluate(model, dataset, split).as_dict() for name, model in models.items()}


def _remembered(dataset: Dataset, split: Split, settings: Settings) -> Path:
    parts = (dataset.fingerprint[:16], split.spec.name, split.sha256[:16], f"e{EDITION}")
    return settings.data_path / "cache" / "floors" / f"{'-'.join(parts)}.json"


def _remember(path: Path, found: dict[str, Any]) -> None:
    """Write the cache in one step; where that fails, the next version measures again."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.replace(path)
    except OSError:
        logger.info("reference baselines not remembered", exc_info=True)
        with suppress(OSError):
            beside.unlink(missing_ok=True)
