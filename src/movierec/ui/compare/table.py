"""The table of a comparison: every metric of every version, its change, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from movierec.comparison.metrics import BEYOND, FLOORS, PAIRED, Metric
from movierec.comparison.results import Comparison, Pair, SeedGroup
from movierec.comparison.sentences import NOT_MEASURED, delta_text, interval_text, value_text
from movierec.evaluation.significance import Difference
from movierec.ui.components.tables import Bar, Cell, Change, Column, Tone, html_table
from movierec.ui.components.theme import VersionStyle

__all__ = ["LEGEND", "best_of", "metrics_table"]

Styles: TypeAlias = Mapping[str, VersionStyle]

LEGEND = (
    "↑ more is better, ↓ less is better; ★ best of the versions that can be compared. Below a "
    "value its change from the baseline: ▲ better, ▼ worse, = can't tell (paired bootstrap over "
    "users, Holm-corrected over these metrics). The bar is the 95 % interval, right of the line "
    "is better. Changes without a sign have no interval, as they are of all lists together."
)
_TONES: Mapping[str, Tone] = {"better": "good", "worse": "bad", "can't tell": "same"}


def metrics_table(found: Comparison, styles: Styles) -> str:
    """Return two tables as HTML: what is tested user by user, and what lies beside accuracy.

    Rows: the versions, the groups of seeds, the floors. What nothing has a value of has no
    column.
    """
    tables = (
        ("Accuracy of each version, with its change from the baseline", PAIRED),
        ("Beside accuracy: lists and calibration of each version", BEYOND),
    )
    drawn = [
        _table(found, styles, caption, [m for m in metrics if _is_measured(found, m.key)])
        for caption, metrics in tables
        if any(_is_measured(found, metric.key) for metric in metrics)
    ]
    return "".join(drawn)


def best_of(found: Comparison, metric: Metric) -> float:
    """Return the best value among the versions that can be compared; NaN for fewer than two."""
    alike = [found.baseline, *[p.version for p in found.pairs.values() if p.is_comparable]]
    values = [found.values[name].get(metric.key, math.nan) for name in alike]
    known = [value for value in values if not math.isnan(value)]
    return max(known, key=metric.gain) if len(known) > 1 else math.nan


def _is_measured(found: Comparison, key: str) -> bool:
    return any(not math.isnan(values.get(key, math.nan)) for values in found.values.values())


def _table(found: Comparison, styles: Styles, caption: str, metrics: Sequence[Metric]) -> str:
    columns = [Column("Version"), *[_column(metric) for metric in metrics]]
    rows = [_version(found, name, metrics, styles[name]) for name in found.versions]
    seeds = [_seeds(group, metrics) for group in found.groups]
    floors = [_floor(name, found.floors[name], metrics) for name in FLOORS if name in found.floors]
    breaks = [len(rows)] * bool(seeds) + [len(rows) + len(seeds)] * bool(floors)
    return html_table(
        caption,
        columns,
        [*rows, *seeds, *floors],
        highlight=[found.versions.index(found.baseline)],
        divide_before=breaks,
        dense=True,
    )


def _column(metric: Metric) -> Column:
    arrow = "↓" if metric.lower_is_better else "↑"
    return Column(f"{metric.label}\u00a0{arrow}", numeric=True, hint=metric.hint)


def _version(
    found: Comparison, name: str, metrics: Sequence[Metric], style: VersionStyle
) -> list[Cell | str]:
    pair = found.pairs.get(name)
    note = "baseline" if pair is None else "" if pair.is_comparable else "not comparable"
    head = Cell(name, note=note, swatch=style.colour)
    return [head, *[_cell(found, name, pair, metric) for metric in metrics]]


def _cell(found: Comparison, name: str, pair: Pair | None, metric: Metric) -> Cell:
    value = found.values[name].get(metric.key, math.nan)
    is_alike = pair is None or pair.is_comparable
    change = _change(found, pair, metric) if pair is not None and pair.is_comparable else None
    best = is_alike and value == best_of(found, metric)
    return Cell(value_text(metric.key, value), best=best, change=change)


def _change(found: Comparison, pair: Pair, metric: Metric) -> Change | None:
    tested = pair.difference(metric.key)
    delta = pair.deltas.get(metric.key, math.nan) if tested is None else tested.delta
    if math.isnan(delta):
        return None
    text = delta_text(metric.key, delta)
    if tested is None:
        return Change(text, hint=f"{metric.label} {text} from {pair.baseline}")
    interval = interval_text(metric.key, tested.low, tested.high)
    hint = f"{metric.label} {text}, 95 % interval {interval}: {tested.verdict}"
    bar = None if interval == NOT_MEASURED else _bar(tested, metric, _scale(found, metric.key))
    return Change(text, _TONES[tested.verdict], bar, hint)


def _bar(tested: Difference, metric: Metric, scale: float) -> Bar:
    low, high = sorted((metric.gain(tested.low), metric.gain(tested.high)))
    return Bar(metric.gain(tested.delta), low, high, scale)


def _scale(found: Comparison, key: str) -> float:
    """Return how far the bars of a metric reach, the same for all versions."""
    tested = [d for pair in found.pairs.values() if (d := pair.difference(key)) is not None]
    ends = [abs(end) for d in tested for end in (d.low, d.high) if math.isfinite(end)]
    return max(ends, default=0.0)


def _seeds(group: SeedGroup, metrics: Sequence[Metric]) -> list[Cell | str]:
    head = Cell(group.label, note=f"{len(group.versions)} seeds, mean ± standard deviation")
    return [head, *[_spread(group, metric.key) for metric in metrics]]


def _spread(group: SeedGroup, key: str) -> Cell:
    mean = value_text(key, group.means.get(key, math.nan))
    deviation = value_text(key, group.deviations.get(key, math.nan))
    return Cell(mean, note="" if NOT_MEASURED in (mean, deviation) else f"± {deviation}")


def _floor(name: str, values: Mapping[str, float], metrics: Sequence[Metric]) -> list[Cell | str]:
    head = Cell(FLOORS[name], note="floor")
    return [head, *[value_text(m.key, values.get(m.key, math.nan)) for m in metrics]]
