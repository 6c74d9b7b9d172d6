"""A whole comparison as one HTML file, to send to somebody who has no dashboard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from movierec.benchmark.report import write_whole
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import Comparison, Pair, SliceDiff
from movierec.store.records import VersionRecord
from movierec.ui.compare import charts as compare_charts
from movierec.ui.compare import facts
from movierec.ui.compare import table as compare_table
from movierec.ui.compare.report_page import Figures, page
from movierec.ui.components.text import day
from movierec.ui.components.theme import VersionStyle, version_style
from movierec.ui.components.versions import charts as model_charts

__all__ = ["report_html", "write_report"]

Records: TypeAlias = Mapping[str, VersionRecord]
Styles: TypeAlias = Mapping[str, VersionStyle]
Errors: TypeAlias = Mapping[str, pd.DataFrame]

_OPEN = 2  # versions beside the baseline whose groups are shown without being asked for


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
    figures = Figures()
    parts = [
        _head(found, made_at or datetime.now(UTC)),
        *[_obstacles(pair) for pair in found.pairs.values() if pair.obstacles],
        _metrics(found, styles),
        _training(found, records, styles, figures),
        _settings(found),
        _cost(found, records, styles, figures),
        _groups(found, styles, figures),
        _stars(found, records, errors or {}, styles, figures),
        _beyond(found, styles, figures),
        _protocol(found, records),
        _repeat(found),
    ]
    return page(f"Compare {', '.join(found.versions)}", "".join(parts))


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


def _section(title: str, *parts: str) -> str:
    return f'<section><h2 class="mr-section">{escape(title)}</h2>{"".join(parts)}</section>'


def _mute(text: str) -> str:
    return f'<p class="mr-mute">{escape(text)}</p>'


def _pair(*figures: str) -> str:
    """Return figures side by side, below each other where it is narrow."""
    return f'<div class="mr-pair">{"".join(figures)}</div>'


def _facts(pairs: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
    return f'<dl class="mr-facts">{items}</dl>'


def _head(found: Comparison, made_at: datetime) -> str:
    headline = facts.headline(found)
    said = [_said(pair, headline) for pair in found.pairs.values()]
    kicker = f"movierec · {len(found.versions)} versions compared with {found.baseline}"
    return (
        f'<header><p class="mr-kicker">{escape(kicker)} · {escape(day(made_at))}</p>'
        f'<h1 class="mr-title">{escape(headline)}</h1>'
        f'<p class="mr-lead">{escape(found.measured_on)}</p>'
        f'<ul class="mr-said">{"".join(said)}</ul></header>'
    )


def _said(pair: Pair, headline: str) -> str:
    """Return what is said of a pair beyond what the headline says already."""
    caveats = "".join(f"<small>{escape(caveat)}</small>" for caveat in pair.caveats)
    told = "" if pair.sentence == headline else f"{escape(pair.sentence)}."
    return f"<li>{told}{caveats}</li>" if told or caveats else ""


def _obstacles(pair: Pair) -> str:
    title = f"Why {pair.version} is not compared with {pair.baseline}"
    messages = "".join(_mute(obstacle.message) for obstacle in pair.obstacles)
    return _section(title, facts.obstacles_table(pair), messages)


def _metrics(found: Comparison, styles: Styles) -> str:
    table = compare_table.metrics_table(found, styles)
    return _section("Every metric", table, _mute(compare_table.LEGEND))


def _training(found: Comparison, records: Records, styles: Styles, figures: Figures) -> str:
    histories = {
        name: model_charts.history_frame(records[name].metadata.training_history)
        for name in found.versions
    }
    drawn = {name: frame for name, frame in histories.items() if not frame.empty}
    if not drawn:
        return ""
    names = [n for n in model_charts.CURVES if any(n in model_charts.measured(f)
                                                   for f in drawn.values())]  # fmt: skip
    charts = [figures.place(compare_charts.curves(drawn, name, styles)) for name in names]
    if names:
        timed = compare_charts.curves(drawn, names[0], styles, x="seconds")
        charts.append(figures.place(timed))
    note = "Measured on the validation part, which picks the epoch; not on the test part."
    return _section("How they were trained", _mute(note), _pair(*charts))


def _settings(found: Comparison) -> str:
    if not found.settings:
        return _section(
            "What differs in them",
            _mute("Nothing: they have the same settings, seed, machine and code."),
        )
    note = _mute("Only what differs; hashes, dates and durations are left out.")
    return _section("What differs in them", facts.settings_table(found), note)


def _cost(found: Comparison, records: Records, styles: Styles, figures: Figures) -> str:
    charts = [compare_charts.pareto(found.costs, found.values, key, styles) for key in facts.LEADS]
    drawn = [figures.place(chart) for chart in charts if chart.data]
    many = compare_charts.parallel(found, records) if len(found.versions) >= facts.MANY else None
    across = "" if many is None else figures.place(many)
    table = facts.costs_table(found)
    return _section("Accuracy against cost", table, _pair(*drawn), across)


def _groups(found: Comparison, styles: Styles, figures: Figures) -> str:
    measured = {
        name: [diff for diff in diffs if not math.isnan(diff.difference.delta)]
        for name, diffs in found.slices.items()
    }
    known = {name: diffs for name, diffs in measured.items() if diffs}
    parts = [
        _groups_of(found.baseline, name, diffs, styles[name], figures, is_open=place < _OPEN)
        for place, (name, diffs) in enumerate(known.items())
    ]
    return _section("For whom", *parts) if parts else ""


def _groups_of(
    baseline: str,
    version: str,
    diffs: Sequence[SliceDiff],
    style: VersionStyle,
    figures: Figures,
    *,
    is_open: bool,
) -> str:
    charts = [
        figures.place(compare_charts.forest(rows, key, style)) for key, rows in _by_metric(diffs)
    ]
    table = facts.groups_table(diffs, baseline, version)
    attribute = " open" if is_open else ""
    return (
        f"<details{attribute}><summary>{escape(version)} beside {escape(baseline)}</summary>"
        f"{_pair(*charts)}<details><summary>The {len(diffs)} changes of {escape(version)} as a "
        f"table</summary>{table}</details></details>"
    )


def _by_metric(diffs: Sequence[SliceDiff]) -> Iterator[tuple[str, list[SliceDiff]]]:
    for key in BY_KEY:
        rows = [diff for diff in diffs if diff.metric == key]
        if rows:
            yield key, rows


def _stars(
    found: Comparison, records: Records, errors: Errors, styles: Styles, figures: Figures
) -> str:
    alike = [found.baseline, *[p.version for p in found.pairs.values() if p.is_comparable]]
    tables = {name: records[name].metadata.reliability for name in alike}
    known = {name: rows for name, rows in tables.items() if rows}
    by_rating = {name: errors[name] for name in alike if name in errors}
    charts = []
    if by_rating:
        charts.append(figures.place(compare_charts.error_by_rating(by_rating, styles)))
    if known:
        charts.append(figures.place(compare_charts.reliability(known, styles)))
    return _section("Predicted and true stars", _pair(*charts)) if charts else ""


def _beyond(found: Comparison, styles: Styles, figures: Figures) -> str:
    chart = compare_charts.beyond(found, styles)
    return _section("Beside accuracy", figures.place(chart)) if chart.data else ""


def _protocol(found: Comparison, records: Records) -> str:
    rules = facts.protocol(records[found.baseline])
    return _section("How it was measured", _mute(found.measured_on), _facts(rules))


def _repeat(found: Comparison) -> str:
    code = escape(facts.command(found, "--html", "report.html"))
    note = _mute("With the same versions in the database, this gives the same numbers.")
    return _section("How to repeat it", f"<pre><code>{code}</code></pre>", note)
