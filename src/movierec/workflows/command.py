"""Command lines that train: what a sweep found, or a version again on other data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from movierec.data.splits import SplitSpec, recorded_spec
from movierec.errors import MovierecError
from movierec.store import Store, VersionRecord
from movierec.workflows.requests import EngineOptions, TrainRequest, full_hyperparameters

__all__ = ["best_training", "retraining", "train_command"]


def train_command(
    training: TrainRequest, full: Mapping[str, Any], params: Mapping[str, Any]
) -> str:
    """Return the command that trains with exactly these hyperparameters.

    `full` are all of them as they were. What was searched or fixed is named in any case, the
    rest where the preset is no longer what it was.
    """
    values = _named_values(training, full, params)
    words = ["movierec", "train", "--preset", training.preset]
    words += ["--dataset", training.dataset] if training.dataset else []
    words += _split_options(training.split)
    words += ["--seed", str(training.seed)] if training.seed else []
    words += ["--device", training.device] if training.device else []
    words += training.engine.options
    words += ["--members", str(training.members)] if training.members > 1 else []
    words += ["--refit"] if training.refit else []
    option = _sage_option if training.is_graphsage else _baseline_option
    for name, value in values.items():
        words += option(name, value)
    return shlex.join(words)


def retraining(store: Store, record: VersionRecord, *, on: VersionRecord) -> str:
    """Say how to train a version's settings again on the data and split of another one."""
    data = store.datasets.find(on.fingerprint)  # it may be called otherwise here
    wanted = f"Train {record.name} again on {on.name}'s data and split"
    try:
        request = _request_of(store, record).model_copy(
            update={
                "dataset": data.name if data else on.dataset_name,
                "split": recorded_spec(on.metadata.split),
            }
        )
        command = train_command(request, request.hyperparameters, {})
    except (MovierecError, ValidationError, KeyError, TypeError):
        return f"{wanted}: `movierec train`."  # settings of another movierec
    return f"{wanted}: `{command}`."


def best_training(
    training: TrainRequest, full: Mapping[str, Any], params: Mapping[str, Any]
) -> TrainRequest:
    """Return the training that `train_command` writes as a line."""
    values = _named_values(training, full, params)
    here = {"device": None, "engine": EngineOptions()}
    return training.model_copy(update={"hyperparameters": values, **here})


def _named_values(
    training: TrainRequest, full: Mapping[str, Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    now = full_hyperparameters(TrainRequest(preset=training.preset))
    named = {*params, *training.hyperparameters}
    return {
        name: value
        for name, value in full.items()
        if value is not None and (name in named or now.get(name) != value)
    }


def _split_options(split: SplitSpec) -> list[str]:
    names = {"name": "--split", "seed": "--split-seed"}
    return [
        word
        for name, value in split.model_dump(exclude_defaults=True).items()
        for word in (names.get(name, f"--{name.replace('_', '-')}"), str(value))
    ]


def _sage_option(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [f"--{option}", str(value)]


def _baseline_option(name: str, value: Any) -> list[str]:
    return ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]


def _request_of(store: Store, record: VersionRecord) -> TrainRequest:
    """Return what a version's run was asked for; without the run, what its metadata tells."""
    if record.run_id is not None:
        run = store.runs.get(record.run_id)
        if run.version == record.name and run.kind == "train":
            return TrainRequest.of(**run.request)
    facts = record.metadata
    return TrainRequest.of(
        preset=record.preset,
        hyperparameters=facts.hyperparameters,
        seed=facts.seed or 0,
        members=facts.members or 1,
        refit=bool(facts.refit),
    )
