"""`movierec evaluate` measures a kept version again; `movierec compare` says which is better."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from movierec.cli.options import JsonOption, VersionsArgument
from movierec.cli.output import emit, number, table
from movierec.comparison.compare import as_csv, as_dict
from movierec.comparison.metrics import BY_KEY, METRICS
from movierec.comparison.results import Comparison, Pair, SliceDiff
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.evaluation import Evaluation
from movierec.folders import write_whole
from movierec.settings import load_settings
from movierec.workflows.compare import ComparedVersions, compared_versions
from movierec.workflows.measure import evaluate_version

__all__ = ["compare", "evaluate"]

_CERTAINTY = {
    "ece": "calibration error (ECE)",
    "nll": "NLL (nats per rating)",
    "coverage_80": "inside the 80 % interval",
    "claimed_80": "said to be inside",
    "width_80": "its width (stars)",
}


def evaluate(
    version: Annotated[str, typer.Argument(help="Which version.")] = "current",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Length of the lists.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Measure a version from its files: ratings, ranking, beyond accuracy, certainty, slices."""
    found = evaluate_version(version, load_settings(), k=k)
    facts = {
        **found.as_dict(),
        "slices": found.slice_rows(),
        "reliability": found.reliability_rows(),
    }
    emit(as_json, {"version": version, **facts}, lambda: _measured(version, found, facts))


def _measured(version: str, found: Evaluation, facts: dict[str, Any]) -> RenderableType:
    title = f"{version}: test part of {found.protocol['split']}, {found.n_ratings:,} ratings"
    drawn = [
        _row_of_numbers(title, {"RMSE": found.rmse, "MAE": found.mae}),
        _ranking(found),
        _row_of_numbers(
            "Beyond accuracy, over the full lists",
            {_heading(name): value for name, value in found.beyond.items()},
        ),
    ]
    if found.calibration["n"]:
        values = {label: found.calibration[key] for key, label in _CERTAINTY.items()}
        drawn.append(_row_of_numbers("How sure it is, and how rightly", values))
    return Group(*drawn, _slices(facts["slices"]))


def _row_of_numbers(title: str, values: Mapping[str, object]) -> Table:
    return table(title, *values, right=tuple(values), rows=[map(number, values.values())])


def _ranking(found: Evaluation) -> Table:
    names = tuple(map(_heading, found.full))
    users = found.protocol.get("users_ranked")
    title = f"Ranking, {users}" if users else "Ranking"
    rows = (
        (label, *map(number, getattr(found, label).values()))
        for label in ("full", "full_4", "rated")
    )
    return table(title, "Protocol", *names, right=names, rows=rows)


def _slices(rows: list[dict[str, Any]]) -> Table:
    keys = list(rows[0]) if rows else []
    right = tuple(_heading(key) for key in keys if key not in ("slice", "value"))
    cells = ((Text(v) if isinstance(v, str) else number(v) for v in row.values()) for row in rows)
    return table("Slices", *map(_heading, keys), right=right, rows=cells)


def _heading(key: str) -> str:
    """Return a key as words that can be folded: `ndcg_at_10` becomes "ndcg@10"."""
    return key.replace("_at_", "@").replace("_", " ")


_WORST = 5  # groups that are named; the report and --json have all


def compare(
    versions: VersionsArgument,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Which one the others are compared with: the current one, or the oldest."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write every metric of every version to this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a report that needs no other file to this one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare versions: which is better, by how much, for whom, and how surely."""
    compared = compared_versions(load_settings(), versions, baseline)
    if csv is not None:
        write_whole(csv, as_csv(compared.found))
    if html is not None:
        _write_report(html, compared)
    emit(as_json, as_dict(compared.found), lambda: _drawn(compared))


def _write_report(path: Path, compared: ComparedVersions) -> None:
    from movierec.ui.compare.report import write_report
    from movierec.ui.components.theme import version_style

    styles = {name: version_style(name, compared.names_ever) for name in compared.found.versions}
    write_report(path, compared.found, compared.records, compared.errors, styles=styles)


def _drawn(compared: ComparedVersions) -> RenderableType:
    found = compared.found
    parts: list[RenderableType] = [Text(found.measured_on), ""]
    for pair in found.pairs.values():
        parts += [Text(f"{pair.sentence}.", style="bold")]
        parts += [Text(f"  {caveat}", style="dim") for caveat in pair.caveats]
    for name, pair in found.pairs.items():
        parts.append("")
        if pair.obstacles:
            parts += [_obstacles(pair), Text(compared.remedies[name])]
        else:
            parts += [_metrics(found, pair), *_groups(found.slices.get(name, ()))]
    return Group(*parts)


def _obstacles(pair: Pair) -> RenderableType:
    title = f"Why {pair.version} can't be compared with {pair.baseline}"
    texts = ((each.what, each.baseline, each.version) for each in pair.obstacles)
    rows = (map(Text, row) for row in texts)
    drawn = table(title, "What differs", pair.baseline, pair.version, rows=rows)
    return Group(drawn, *(Text(obstacle.message) for obstacle in pair.obstacles))


def _metrics(found: Comparison, pair: Pair) -> RenderableType:
    right = (pair.baseline, pair.version, "Change", "95\u00a0%\u00a0interval")
    drawn = table(f"{pair.version} against {pair.baseline}", "Metric", *right, "", right=right)
    for metric in METRICS:
        key, tested = metric.key, pair.difference(metric.key)
        drawn.add_row(
            f"{metric.label} {'↓' if metric.lower_is_better else '↑'}",
            value_text(key, found.values[pair.baseline][key]),
            value_text(key, found.values[pair.version][key]),
            delta_text(key, pair.deltas[key]),
            "" if tested is None else interval_text(key, tested.low, tested.high),
            "" if tested is None else tested.verdict,
        )
    return drawn


def _groups(diffs: tuple[SliceDiff, ...]) -> list[RenderableType]:
    if not diffs:
        return []
    worse = [diff for diff in diffs if diff.difference.verdict == "worse"]
    better = sum(diff.difference.verdict == "better" for diff in diffs)
    named = "; ".join(map(_group, worse[:_WORST]))
    more = f"; and {len(worse) - _WORST} more" if len(worse) > _WORST else ""
    groups = f": {named}{more}" if worse else ""
    counts = f"{better} are better and {len(worse)} worse for sure"
    return [Text(f"Of {len(diffs)} changes in groups {counts}{groups}.")]


def _group(diff: SliceDiff) -> str:
    change = delta_text(diff.metric, diff.difference.delta)
    return f"{diff.slice} {diff.value} ({BY_KEY[diff.metric].label} {change})"
