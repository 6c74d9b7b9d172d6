"""A whole comparison as one HTML file, to send to somebody who has no dashboard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup

from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import Comparison, SliceDiff
from movierec.export import html
from movierec.folders import write_whole
from movierec.store.records import VersionRecord
from movierec.ui.compare import charts, facts, slice_charts
from movierec.ui.components.charts import bare
from movierec.ui.components.text import day
from movierec.ui.components.theme import Styles, VersionStyle, version_style
from movierec.ui.components.versions import curves, reliability

__all__ = ["report_html", "write_report"]

Records: TypeAlias = Mapping[str, VersionRecord]
Errors: TypeAlias = Mapping[str, pd.DataFrame]

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_STYLES = Path(__file__).parents[1] / "components"  # style.css, as on the dashboard
_HEIGHT = 320  # pixels of a chart that has no height of its own


@dataclass(frozen=True)
class Group:
    """How groups of users and movies fare with one version, as the template reads it."""

    version: str
    charts: Sequence[html.Figure]
    count: int
    table: Markup


def report_html(
    found: Comparison,
    records: Records,
    errors: Errors | None = None,
    *,
    styles: Styles | None = None,
    made_at: datetime | None = None,
) -> str:
    """Return the report: it needs no network and no other file, and prints.

    `records`: the versions as they were measured for this comparison; `errors`: their error by
    true rating where it is known (`slices.error_by_rating`); `styles`: theirs on the dashboard.
    """
    styles = styles or {name: version_style(name, found.versions) for name in found.versions}
    across = charts.parallel(found, records) if len(found.versions) >= facts.MANY else None
    beyond = charts.beyond(found, styles)
    return html.render(
        _TEMPLATE,
        folders=[_STYLES],
        title=f"Compare {', '.join(found.versions)}",
        found=found,
        made_on=day(made_at or datetime.now(UTC)),
        headline=facts.headline(found),
        obstacles_table=lambda pair: Markup(facts.obstacles_table([pair])),
        metrics_table=Markup(facts.metrics_table(found, styles)),
        legend=facts.LEGEND,
        training=_training(found, records, styles),
        settings_table=Markup(facts.settings_table(found)),
        costs_table=Markup(facts.costs_table(found)),
        costs=_costs(found, styles),
        across=None if across is None else _figure(across),
        groups=_groups(found, styles),
        stars=_stars(found, records, errors or {}, styles),
        beyond=_figure(beyond) if beyond.data else None,
        protocol=facts.protocol(records[found.baseline]),
        command=facts.command(found, "--html", "report.html"),
    )


def write_report(
    path: Path,
    found: Comparison,
    records: Records,
    errors: Errors | None = None,
    *,
    styles: Styles | None = None,
) -> Path:
    """Write the report into a file, in folders that are made; whole, or not at all.

    Raises:
        SettingsError: the file cannot be written.

    """
    write_whole(path, report_html(found, records, errors, styles=styles))
    return path


def _figure(chart: go.Figure) -> html.Figure:
    height = chart.layout.height or _HEIGHT
    title, alt = chart.layout.title.text, str(chart.layout.meta["alt"])
    return html.figure(bare(chart, height), title=title, alt=alt, height=height)


def _training(found: Comparison, records: Records, styles: Styles) -> list[html.Figure]:
    """Return a chart for each curve that was measured, and the first one over time."""
    drawn = curves.histories({name: records[name] for name in found.versions})
    names = curves.measured(*drawn.values())
    figures = [curves.curves_of_versions(drawn, name, styles) for name in names]
    if names:
        figures.append(curves.curves_of_versions(drawn, names[0], styles, x="seconds"))
    return [_figure(figure) for figure in figures]


def _costs(found: Comparison, styles: Styles) -> list[html.Figure]:
    drawn = [charts.pareto(found.costs, found.values, key, styles) for key in facts.LEADS]
    return [_figure(chart) for chart in drawn if chart.data]


def _groups(found: Comparison, styles: Styles) -> list[Group]:
    measured = {
        name: [diff for diff in diffs if not math.isnan(diff.difference.delta)]
        for name, diffs in found.slices.items()
    }
    return [
        _group(found.baseline, name, diffs, styles[name])
        for name, diffs in measured.items()
        if diffs
    ]


def _group(baseline: str, version: str, diffs: Sequence[SliceDiff], style: VersionStyle) -> Group:
    by_metric = {key: [diff for diff in diffs if diff.metric == key] for key in BY_KEY}
    forests = [
        _figure(slice_charts.forest(rows, key, style)) for key, rows in by_metric.items() if rows
    ]
    return Group(version, forests, len(diffs), Markup(facts.groups_table(diffs, baseline, version)))


def _stars(
    found: Comparison, records: Records, errors: Errors, styles: Styles
) -> list[html.Figure]:
    tables = {name: records[name].metadata.reliability for name in found.alike}
    known = {name: rows for name, rows in tables.items() if rows}
    by_rating = {name: errors[name] for name in found.alike if name in errors}
    figures = []
    if by_rating:
        figures.append(_figure(slice_charts.error_by_rating(by_rating, styles)))
    if known:
        figures.append(_figure(reliability.of_several(known, styles)))
    return figures
