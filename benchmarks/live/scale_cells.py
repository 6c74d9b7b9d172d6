"""How numbers stand in the cells of docs/SCALE.md; – is not measured."""

from __future__ import annotations

__all__ = ["gib", "number", "percent", "ratio", "seconds"]


def seconds(value: float | None) -> str:
    """Return seconds, with decimals below ten."""
    return "–" if value is None else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """Return a ratio."""
    return "–" if value is None else f"{value:.2f}"


def number(value: float | None) -> str:
    """Return a number without decimals."""
    return "–" if value is None else f"{value:,.0f}"


def gib(megabytes: float) -> str:
    """Return MiB as GiB."""
    return f"{megabytes / 1024:.2f}"


def percent(share: float) -> str:
    """Return a share as percent, with its sign."""
    return f"{100 * share:+.0f} %"
