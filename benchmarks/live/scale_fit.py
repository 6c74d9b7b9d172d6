"""The cost model: seconds of a pass and peak memory of a training, fitted to what was measured.

Least squares of the relative error with coefficients that are not negative, so that no size makes
anything cheaper. E: train ratings, D: ratings of the data set, N: users and movies, d: hidden_dim,
L: num_layers, S: steps of a pass. A step goes through E·S/5 ratings in all when the graph is whole
(five steps hide a fifth each) and through as many when it is gone through in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import nnls

__all__ = ["Point", "fitted", "points_of", "predicted"]

Point = Mapping[str, Any]
Term = Callable[[Point], float]
TARGETS = 5  # steps in which each rating is a target once


def _edges(point: Point) -> float:
    """Return how many ratings the graphs of all steps of a pass have together."""
    return float(TARGETS * point["train"])


def _parts(point: Point) -> float:
    return max(1.0, point["steps_per_pass"] / TARGETS)


def _nodes(point: Point) -> float:
    """Return how many users and movies all steps of a pass have together; movies are in each."""
    return TARGETS * (point["users"] + _parts(point) * point["movies"])


SECONDS: Mapping[str, Term] = {
    "S": lambda p: p["steps_per_pass"],
    "edges": _edges,
    "edges · L · d": lambda p: _edges(p) * p["num_layers"] * p["hidden_dim"],
    "nodes · L · d": lambda p: _nodes(p) * p["num_layers"] * p["hidden_dim"],
    "nodes · L · d²": lambda p: _nodes(p) * p["num_layers"] * p["hidden_dim"] ** 2,
}
MEMORY: Mapping[str, Term] = {
    "1": lambda _: 1.0,
    "D": lambda p: p["ratings"],
    "E in a step": lambda p: p["train"] / _parts(p),
    "E in a step · d": lambda p: p["train"] / _parts(p) * p["hidden_dim"],
    "N in a step · (L + 1) · d": lambda p: (
        (p["users"] / _parts(p) + p["movies"]) * (p["num_layers"] + 1) * p["hidden_dim"]
    ),
}


def points_of(parts: Mapping[str, Any]) -> list[Point]:
    """Return every training whose steps were measured, as the report has them."""
    found = []
    for name, part in parts.items():
        if name.startswith(("train, ", "cost, ")):
            found += part["found"].get("points", [part["found"]])
    return found


def fitted(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return both models with their coefficients, and how far each measurement is from them."""
    points = points_of(parts)
    if len(points) <= len(MEMORY):
        return {"points": len(points)}
    return {
        "points": len(points),
        "seconds": _model(SECONDS, points, [point["pass"] for point in points]),
        "memory_mb": _model(MEMORY, points, [point["peak_mb"] for point in points]),
    }


def _model(
    terms: Mapping[str, Term], points: Sequence[Point], measured: Sequence[float]
) -> dict[str, Any]:
    target = np.array(measured)
    table = np.array([[term(point) for term in terms.values()] for point in points], float)
    scale = table.max(0)  # ones and squares differ by 1e12
    found, _ = nnls(table / scale / target[:, None], np.ones(len(points)))
    coefficients = found / scale
    error = table @ coefficients / target - 1
    residuals = [
        {**_named(point), "measured": value, "error": float(each)}
        for point, value, each in zip(points, measured, error, strict=True)
    ]
    return {
        "coefficients": dict(zip(terms, coefficients.tolist(), strict=True)),
        "median_error": float(np.median(abs(error))),
        "worst_error": float(abs(error).max()),
        "residuals": residuals,
    }


def _named(point: Point) -> dict[str, Any]:
    named = {name: point[name] for name in ("ratings", "hidden_dim", "num_layers")}
    return {**named, "parts": round(_parts(point))}


def predicted(model: Mapping[str, Any], point: Point) -> float:
    """Return what a fitted model, of seconds or of memory, says of a training."""
    terms = SECONDS if set(model["coefficients"]) == set(SECONDS) else MEMORY
    return sum(
        coefficient * terms[name](point) for name, coefficient in model["coefficients"].items()
    )
