"""A version in MLflow's words: params, metrics with their steps, tags."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from movierec.metadata import EpochSummary, VersionMetadata
from movierec.store import VersionRecord

__all__ = ["IDENTITY", "Point", "params_of", "points_of", "tags_of"]

IDENTITY = "movierec.identity"
# what MLflow takes at most; a longer text is cut rather than refused
MAX_KEY, MAX_PARAM, MAX_TAG = 250, 6000, 8000
_HISTORY = ("train_loss", "val_loss", "val_rmse", "val_ndcg_10", "seconds")
_UNKNOWN_IN_KEYS = re.compile(r"[^\w\-. /:]", re.ASCII)

Point = tuple[str, float, int, int]  # key, value, milliseconds since 1970, step


def params_of(record: VersionRecord) -> dict[str, str]:
    """Return the hyperparameters and what else decides the weights."""
    facts = record.metadata
    fixed = {
        "model": record.model,
        "preset": record.preset,
        "dataset": record.dataset_name,
        "split": record.split_label,
        "seed": facts.seed,
        "members": facts.members,
        "refit": facts.refit,
        "device": facts.device,
    }
    known = {name: value for name, value in fixed.items() if value is not None}
    every = {**facts.hyperparameters, **known}
    return {_key(name): str(value)[:MAX_PARAM] for name, value in every.items()}


def tags_of(record: VersionRecord, identity: str) -> dict[str, str]:
    """Return what the version is known by; `mlflow.…` are those MLflow itself reads."""
    git = record.metadata.git
    tags = {
        IDENTITY: identity,
        "movierec.version": record.name,
        "movierec.tags": ", ".join(record.tags),
        "movierec.fingerprint": record.fingerprint,
        "movierec.dataset": record.dataset_name,
        "movierec.split": record.split_label,
        "movierec.git_dirty": "" if git.dirty is None else str(git.dirty),
        "mlflow.note.content": record.notes,
        "mlflow.source.git.commit": git.commit or "",
        "mlflow.source.name": "movierec",
        "mlflow.source.type": "LOCAL",
    }
    return {name: str(value)[:MAX_TAG] for name, value in tags.items()}


def points_of(record: VersionRecord) -> list[Point]:
    """Return every metric: those of each epoch by step, those of the end at the last step.

    Times follow from the version's, so that a second export says the same again.
    """
    facts = record.metadata
    history = facts.training_history
    end = round(record.created_at.timestamp() * 1000)
    last = len(history)
    return [*_epochs(history, end), *((key, value, end, last) for key, value in _finals(facts))]


def _epochs(history: list[EpochSummary], end: int) -> Iterator[Point]:
    left = sum(_seconds(row) for row in history)
    for place, row in enumerate(history, 1):
        left -= _seconds(row)
        at = (end - round(1000 * left), place if row.epoch is None else row.epoch)
        values = {name: getattr(row, name) for name in _HISTORY}
        yield from ((name, float(v), *at) for name, v in values.items() if _is_number(v))


def _seconds(row: EpochSummary) -> float:
    return float(row.seconds or 0.0)


def _finals(facts: VersionMetadata) -> Iterator[tuple[str, float]]:
    yield from _numbers("test", facts.evaluation.as_dict())
    yield from _numbers("floors", {name: floor.as_dict() for name, floor in facts.floors.items()})
    yield from _numbers("validation", facts.metrics)
    yield from _numbers("seconds", facts.durations.as_dict())
    cost = {
        "num_parameters": facts.num_parameters,
        "peak_memory_mb": facts.peak_memory_mb,
        "best_epoch": facts.best_epoch,
    }
    yield from _numbers("cost", cost)


def _numbers(prefix: str, tree: object) -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested facts under keys such as test/full/ndcg_at_10."""
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            if name != "protocol":
                yield from _numbers(f"{prefix}/{name}", inner)
    elif _is_number(tree):
        yield _key(prefix), float(tree)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]


def _key(name: str) -> str:
    return _UNKNOWN_IN_KEYS.sub("_", name)[:MAX_KEY]
