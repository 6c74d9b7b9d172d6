"""What a size costs, and which size a machine ends at, by the fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from live.page import table
from live.scale_cells import gib, percent, seconds
from live.scale_fit import predicted
from movierec.models.graphsage.hyperparameters import hyperparameters
from movierec.training.budget import graph_ratings

__all__ = ["costs", "room"]

Parts = Mapping[str, Any]
Found = Mapping[str, Any]

GIB = (8, 16, 24, 64)
USABLE = 0.8  # of a machine's memory; the rest is the system's and its file cache
SHAPE = {"ratings": 32_000_204, "users": 200_948, "movies": 87_585}  # of MovieLens 32M
TRAIN_SHARE = 0.72  # of the ratings: the test part is a fifth, validation a tenth of the rest
STEPS = 5  # of a pass over a whole graph
MODELS = ((64, 2), (128, 2), (64, 3))
MODEL = ("hidden_dim", "num_layers", "parts")
MOST_MILLION = 10_000.0


def costs(parts: Parts) -> list[str]:
    """Return both fitted models with their terms, and how far each measurement is from them."""
    fit = parts.get("fit", {}).get("found", {})
    lines: list[str] = []
    for name, title, unit in (("seconds", "Seconds of a pass", "s"), ("memory_mb", "Peak", "MiB")):
        if name in fit:
            terms = [f"{value:.3g} · {term}" for term, value in fit[name]["coefficients"].items()]
            lines += [f"- {title} = {' + '.join(terms)} {unit}: {_errors(fit[name], fit)}."]
    return [*lines, "", *_residuals(fit)] if lines else []


def _errors(model: Found, fit: Found) -> str:
    median, worst = (f"{100 * model[name]:.0f} %" for name in ("median_error", "worst_error"))
    return f"off by {median} in the median of {fit['points']} measurements and by {worst} at most"


def _residuals(fit: Found) -> list[str]:
    head = ["ratings", "d", "L", "parts", "pass s", "model", "peak GiB", "model"]
    both = zip(fit["seconds"]["residuals"], fit["memory_mb"]["residuals"], strict=True)
    rows = [
        [
            f"{one['ratings']:,}", *(str(one[name]) for name in MODEL),
            seconds(one["measured"]), percent(one["error"]), gib(other["measured"]),
            percent(other["error"]),
        ]
        for one, other in sorted(both, key=lambda pair: _order(pair[0]))
    ]  # fmt: skip
    return table(head, rows)


def _order(row: Found) -> tuple[int, ...]:
    return row["ratings"], row["parts"], row["num_layers"], row["hidden_dim"]


def room(parts: Parts) -> list[str]:
    """Return the largest data that machines of some sizes train on, as the model has it."""
    model = parts.get("fit", {}).get("found", {}).get("memory_mb")
    if model is None:
        return []
    ways = [(width, layers, chosen) for width, layers in MODELS for chosen in (False, True)]
    rows = [
        [_way(*way), *(_largest(model, USABLE * 1024 * gib, *way) for gib in GIB)] for way in ways
    ]
    return table(["million ratings that fit", *(f"{gib} GiB" for gib in GIB)], rows)


def _way(width: int, layers: int, chosen: bool) -> str:
    how = "in parts as chosen" if chosen else "whole graph"
    return f"d {width}, L {layers}, {how}"


def _largest(model: Found, limit: float, width: int, layers: int, chosen: bool) -> str:
    """Return how many million ratings need at most so many MiB; the need grows with them."""
    low, high = 0.0, MOST_MILLION
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        needed = predicted(model, _point(1e6 * middle, width, layers, chosen))
        low, high = (middle, high) if needed <= limit else (low, middle)
    return f"over {MOST_MILLION:,.0f}" if high == MOST_MILLION else f"{low:,.0f}"


def _point(ratings: float, width: int, layers: int, chosen: bool) -> dict[str, float]:
    """Return a training on data of the shape of MovieLens 32M."""
    sizes = {name: count * ratings / SHAPE["ratings"] for name, count in SHAPE.items()}
    train = max(1.0, TRAIN_SHARE * ratings)
    config = hyperparameters("default", hidden_dim=width, num_layers=layers)
    part = (chosen and graph_ratings(config, round(sizes["movies"]), round(train))) or train
    return {
        **sizes, "train": train, "hidden_dim": width, "num_layers": layers,
        "steps_per_pass": STEPS * max(1.0, train / part),
    }  # fmt: skip
