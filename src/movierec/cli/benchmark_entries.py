"""What `--models` and `--splits` take: names with changes, `default:refit:epochs=60`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from movierec.errors import HyperparameterError
from movierec.workflows.requests import TrainRequest

__all__ = ["model_of", "requests_of", "split_of"]

FLAGS = ("refit",)
FIELDS = (*FLAGS, "members")  # of a request; every other name is a hyperparameter


def requests_of(
    models: Sequence[str],
    splits: Sequence[str],
    seeds: int,
    *,
    dataset: str | None,
    base: Mapping[str, Any],
) -> list[TrainRequest]:
    """Return a request for each split, model and seed 0…seeds - 1.

    Raises:
        HyperparameterError: an entry cannot be used; the message names it.

    """
    divided = [split_of(entry, base) for entry in splits]
    chosen = [model_of(entry) for entry in models]
    return [
        TrainRequest.of(**model, seed=seed, dataset=dataset, split=split)
        for split in divided
        for model in chosen
        for seed in range(seeds)
    ]


def model_of(entry: str) -> dict[str, Any]:
    """Return the fields of a training: `default:refit:members=5:epochs=60`.

    After the preset or baseline come `refit`, `members=N`, and hyperparameters as NAME=VALUE.
    """
    preset, changes = _parts(entry)
    fields = {name: value for name, value in changes.items() if name in FIELDS}
    others = {name: value for name, value in changes.items() if name not in FIELDS}
    model = {"preset": preset, **fields, "hyperparameters": others}
    _check(entry, **model)
    return model


def split_of(entry: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a split, `cold-users:given=1`; `base` holds those not named."""
    name, changes = _parts(entry)
    split = {**base, "name": name, **changes}
    _check(entry, preset="popular", split=split)
    return split


def _parts(entry: str) -> tuple[str, dict[str, Any]]:
    name, *changes = (part.strip() for part in entry.split(":"))
    return name, dict(_change(entry, part) for part in changes)


def _change(entry: str, part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if part in FLAGS:
        return part, True
    if not equals or not name or not value:
        raise HyperparameterError(
            f"{entry!r}: {part!r} is no change.",
            hint="Write NAME=VALUE or refit after a colon, as in default:refit:members=5.",
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _check(entry: str, **fields: Any) -> None:
    try:
        TrainRequest.of(**fields)
    except HyperparameterError as error:
        raise HyperparameterError(f"{entry!r}: {error.message}", hint=error.hint) from error
