"""What a comparison found, in words and tables: for the page and for the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

from movierec.comparison.metrics import BY_KEY, METRICS
from movierec.comparison.results import Comparison, Cost, Pair, SettingDiff, SliceDiff
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.evaluation.significance import Verdict
from movierec.metadata import Number
from movierec.store.records import VersionRecord
from movierec.ui.compare.slice_charts import SLICES
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import duration, integer, size

__all__ = [
    "command",
    "costs_table",
    "groups_table",
    "headline",
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


def headline(found: Comparison) -> str:
    """Return who is ahead: the one pair's sentence, or who has the best headline metrics."""
    pairs = list(found.pairs.values())
    if len(pairs) == 1:
        return pairs[0].sentence
    names = [found.baseline, *[pair.version for pair in pairs if pair.is_comparable]]
    if len(names) == 1:
        return "None of these versions can be compared with the baseline"
    parts = [_leader(found, names, key) for key in LEADS]
    told = ", and ".join(part for part in parts if part)
    return told or "No headline metric was measured for these versions"


def _leader(found: Comparison, names: Sequence[str], key: str) -> str:
    values = {name: found.values[name].get(key, math.nan) for name in names}
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    if not known:
        return ""
    best = max(known, key=lambda name: BY_KEY[key].gain(known[name]))
    return f"{best} has the best {BY_KEY[key].label}, {value_text(key, known[best])}"


def command(found: Comparison, *options: str) -> str:
    """Return the command that makes the comparison again."""
    words = ["movierec", "compare", *found.versions, "--baseline", found.baseline, *options]
    return shlex.join(words)


def obstacles_table(pair: Pair) -> str:
    """Return as HTML what differs between two versions that cannot be compared."""
    columns = [Column("What differs"), Column(pair.baseline), Column(pair.version)]
    rows = [[o.what[:1].upper() + o.what[1:], o.baseline, o.version] for o in pair.obstacles]
    caption = f"Why {pair.baseline} and {pair.version} cannot be compared"
    return html_table(caption, columns, rows)


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
