"""What a sweep's form offers, and the errors of its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from movierec.errors import HyperparameterError
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.space import Dimension, search_space
from movierec.workflows.requests import MODELS, hyperparameter_fields

__all__ = ["complaints", "dimension", "models", "searchable", "usual"]

_BESIDE = ("name", "metric", "trials")  # inputs of their own; other errors are the search's


@cache
def models() -> tuple[str, ...]:
    """Return the presets and baselines that have something to search, `default` first."""
    found = [preset for preset in MODELS if searchable(preset)]
    return tuple(sorted(found, key=lambda preset: preset != "default"))


@cache
def searchable(preset: str) -> tuple[str, ...]:
    """Return the hyperparameters whose range or values are known, the usual ones first."""
    known = [name for name in hyperparameter_fields(preset) if _is_known(preset, name)]
    first = usual(preset) if known else ()
    return (*first, *(name for name in known if name not in first))


def usual(preset: str) -> tuple[str, ...]:
    """Return the hyperparameters that a sweep of the preset varies by default."""
    return tuple(search_space(preset))


@cache
def dimension(preset: str, name: str) -> Dimension:
    """Return the usual range or values of a hyperparameter."""
    return search_space(preset, [name])[name]


def complaints(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of a SweepRequest's fields, by the input they belong to.

    That is the name of a hyperparameter, "name", "metric", "trials", or "search" for what is
    wrong between them; empty if nothing is.
    """
    if not request["search"]:
        return {"search": "Choose at least one hyperparameter to vary."}
    preset = request["training"]["preset"]
    wrong = _of_each(preset, request["search"])
    rest = {**request, "search": ()} if wrong else request
    try:
        SweepRequest.of(**rest)
    except HyperparameterError as error:
        wrong.setdefault(_input_of(error.message), error.message)
    return wrong


def _of_each(preset: str, search: Sequence[str]) -> dict[str, str]:
    wrong = {}
    for text in search:
        try:
            search_space(preset, [text])
        except HyperparameterError as error:
            wrong[text.partition("=")[0]] = error.message
    return wrong


def _input_of(message: str) -> str:
    named = re.match(r"(\w+) = ", message)
    return named[1] if named and named[1] in _BESIDE else "search"


def _is_known(preset: str, name: str) -> bool:
    try:
        dimension(preset, name)
    except HyperparameterError:
        return False
    return True
