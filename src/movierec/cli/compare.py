"""`movierec compare`: is a version better, by how much, for whom, and how surely."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.benchmark.report import write_whole
from movierec.cli.output import JsonOption, emit, table
from movierec.comparison.compare import as_csv, as_dict
from movierec.comparison.metrics import BY_KEY, METRICS
from movierec.comparison.results import Comparison, Pair, SliceDiff
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.settings import load_settings
from movierec.workflows.compare import ComparedVersions, compared_versions

__all__ = ["compare"]

_WORST = 5  # groups that are named; the report and --json have all


def compare(
    versions: Annotated[list[str], typer.Argument(help="Two versions or more.")],
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
    drawn = table(title, "What differs", pair.baseline, pair.version)
    for obstacle in pair.obstacles:
        drawn.add_row(*map(Text, (obstacle.what, obstacle.baseline, obstacle.version)))
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
    said = f"Of {len(diffs)} changes in groups {better} are better and {len(worse)} worse for sure"
    return [Text(f"{said}: {named}{more}." if worse else f"{said}.")]


def _group(diff: SliceDiff) -> str:
    change = delta_text(diff.metric, diff.difference.delta)
    return f"{diff.slice} {diff.value} ({BY_KEY[diff.metric].label} {change})"
