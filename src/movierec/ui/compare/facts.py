"""The results of a comparison as sentences and HTML tables, for the page and the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

from movierec.comparison.metrics import BEYOND, BY_KEY, METRICS, PAIRED, REFERENCE_BASELINES, Metric
from movierec.comparison.results import Comparison, Cost, Pair, SeedGroup, SettingDiff, SliceDiff
from movierec.comparison.sentences import NOT_MEASURED, delta_text, interval_text, value_text
from movierec.evaluation.significance import Difference, Verdict
from movierec.metadata import Number
from movierec.store.records import VersionRecord
from movierec.ui.compare.slice_charts import SLICES
from movierec.ui.components.tables import TONES, Bar, Cell, Change, Column, html_table
from movierec.ui.components.text import duration, integer, size
from movierec.ui.components.theme import Styles, VersionStyle

__all__ = [
    "LEGEND",
    "best_of",
    "command",
    "costs_table",
    "groups_table",
    "headline",
    "metrics_table",
    "obstacles_table",
    "protocol",
    "settings_table",
]

LEADS = ("rmse", "ndcg_full")
MANY = 4  # versions from which lines across settings tell more than a table
VERDICTS: Mapping[Verdict, str] = {
    "worse": "▼ worse", "better": "▲ better", "can't tell": "= can't tell",
}  # fmt: skip
_KINDS = {
    "hyperparameter": "Hyperparameters",
    "training": "Training",
    "environment": "Environment",
}
_THRESHOLDS = {"full": "full", "full_4": "full, 4★+", "rated": "rated"}

LEGEND = (
    "↑ more is better, ↓ less is better; ★ best of the versions that can be compared. Below a "
    "value its change from the baseline: ▲ better, ▼ worse, = can't tell (paired bootstrap over "
    "users, Holm-corrected over these metrics). The bar is the 95 % interval, right of the line "
    "is better. Changes without a sign have no interval, as they are of all lists together."
)


def headline(found: Comparison) -> str:
    """Return the headline: the one pair's sentence, or who has the best headline metrics."""
    pairs = list(found.pairs.values())
    if len(pairs) == 1:
        return pairs[0].sentence
    if len(found.alike) == 1:
        return "None of these versions can be compared with the baseline"
    parts = [_leader(found, key) for key in LEADS]
    told = ", and ".join(part for part in parts if part)
    return told or "No headline metric was measured for these versions"


def _leader(found: Comparison, key: str) -> str:
    values = {name: found.values[name].get(key, math.nan) for name in found.alike}
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    if not known:
        return ""
    best = max(known, key=lambda name: BY_KEY[key].gain(known[name]))
    return f"{best} has the best {BY_KEY[key].label}, {value_text(key, known[best])}"


def command(found: Comparison, *options: str) -> str:
    """Return the command that makes the comparison again."""
    words = ["movierec", "compare", *found.versions, "--baseline", found.baseline, *options]
    return shlex.join(words)


def obstacles_table(pairs: Sequence[Pair]) -> str:
    """Return as HTML what differs between the baseline and versions that cannot be compared."""
    columns = [Column("Version"), Column("What differs"), Column(pairs[0].baseline),
               Column("The version")]  # fmt: skip
    rows = [
        [pair.version, o.what[:1].upper() + o.what[1:], o.baseline, o.version]
        for pair in pairs
        for o in pair.obstacles
    ]
    return html_table("Why versions cannot be compared", columns, rows)


def settings_table(found: Comparison) -> str:
    """Return as HTML the settings that are not the same in all versions."""
    columns = [Column("Setting"), *[Column(name) for name in found.versions]]
    kinds = [[s for s in found.settings if s.kind == kind] for kind in _KINDS]
    rows = [_setting(s, found.versions, first=s is of[0]) for of in kinds for s in of]
    ends = [sum(map(len, kinds[:place])) for place in range(1, len(kinds))]
    return html_table("Settings that differ", columns, rows, divide_before=ends)


def _setting(setting: SettingDiff, versions: Sequence[str], *, first: bool) -> list[Cell | str]:
    head = Cell(setting.name, note=_KINDS[setting.kind].lower() if first else "")
    return [head, *[setting.values.get(name, "–") for name in versions]]


def costs_table(found: Comparison) -> str:
    """Return as HTML what each version costs."""
    columns = [
        Column("Version"), Column("Whole run", numeric=True),
        Column("Parameters", numeric=True), Column("Peak memory (MB)", numeric=True),
        Column("On disk", numeric=True),
    ]  # fmt: skip
    return html_table("Cost of each version", columns, [_cost(cost) for cost in found.costs])


def _cost(cost: Cost) -> list[Cell | str]:
    return [
        cost.version, duration(cost.seconds), integer(cost.parameters), integer(cost.memory_mb),
        size(cost.size_bytes),
    ]  # fmt: skip


def groups_table(diffs: Sequence[SliceDiff], baseline: str, version: str) -> str:
    """Return as HTML the change of each group in the order given, its interval and verdict."""
    columns = [
        Column("Group"), Column("Metric"), Column("Users", numeric=True),
        Column("Ratings", numeric=True), Column(baseline, numeric=True),
        Column(version, numeric=True), Column("Change", numeric=True),
        Column("95 % interval", numeric=True), Column("Verdict"),
    ]  # fmt: skip
    caption = f"Change by group from {baseline} to {version}, sure losses first"
    return html_table(caption, columns, [_group(diff) for diff in diffs], dense=True)


def _group(diff: SliceDiff) -> list[Cell | str]:
    found, key = diff.difference, diff.metric
    return [
        f"{SLICES.get(diff.slice, diff.slice.capitalize())}: {diff.value}", BY_KEY[key].label,
        integer(diff.users), integer(diff.ratings), value_text(key, found.a),
        value_text(key, found.b), delta_text(key, found.delta),
        interval_text(key, found.low, found.high), VERDICTS[found.verdict],
    ]  # fmt: skip


def protocol(record: VersionRecord) -> dict[str, str]:
    """Return under which rules a version was measured, in words by their names."""
    rules = record.metadata.evaluation.protocol
    facts = {
        "Data": f"{rules.dataset or record.dataset_name}, fingerprint {record.fingerprint}",
        "Split": record.split_label,
        "Held-out ratings": integer(rules.n_test),
        "Users": integer(rules.n_test_users),
        **({"Users ranked": rules.users_ranked} if rules.users_ranked else {}),
        "Length of lists": "–" if rules.k is None else str(rules.k),
        **{f"Candidates, {name}": str(said) for name, said in rules.candidates.items()},
        **{
            f"Relevant, {_THRESHOLDS.get(name, name)}": _relevant(value)
            for name, value in rules.thresholds.items()
        },
        "Predictions": rules.predictions or "–",
        "Equal scores": rules.ties or "–",
    }
    return facts | {metric.label: metric.hint for metric in METRICS}


def _relevant(threshold: Number) -> str:
    return (
        f"held-out ratings of {threshold:g} stars or more" if threshold else "every held-out rating"
    )


def metrics_table(found: Comparison, styles: Styles) -> str:
    """Return two tables as HTML: metrics tested user by user, and metrics beside accuracy.

    Rows: the versions, the groups of seeds, the reference baselines. A metric that none of them
    has a value of has no column.
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
    values = [found.values[name].get(metric.key, math.nan) for name in found.alike]
    known = [value for value in values if not math.isnan(value)]
    return max(known, key=metric.gain) if len(known) > 1 else math.nan


def _is_measured(found: Comparison, key: str) -> bool:
    return any(not math.isnan(values.get(key, math.nan)) for values in found.values.values())


def _table(found: Comparison, styles: Styles, caption: str, metrics: Sequence[Metric]) -> str:
    columns = [Column("Version"), *[_column(metric) for metric in metrics]]
    rows = [_version(found, name, metrics, styles[name]) for name in found.versions]
    seeds = [_seeds(group, metrics) for group in found.groups]
    baselines = [
        _baseline(name, found.floors[name], metrics)
        for name in REFERENCE_BASELINES
        if name in found.floors
    ]
    breaks = [len(rows)] * bool(seeds) + [len(rows) + len(seeds)] * bool(baselines)
    return html_table(
        caption,
        columns,
        [*rows, *seeds, *baselines],
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
    return Change(text, TONES[tested.verdict], bar, hint)


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


def _baseline(
    name: str, values: Mapping[str, float], metrics: Sequence[Metric]
) -> list[Cell | str]:
    head = Cell(REFERENCE_BASELINES[name], note="simple baseline")
    return [head, *[value_text(m.key, values.get(m.key, math.nan)) for m in metrics]]
