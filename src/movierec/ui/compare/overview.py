"""The Compare page's first view: the verdicts, every metric, curves, settings and costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from movierec import jobs
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import Comparison, Pair
from movierec.ui.compare import charts, facts, retrain, table
from movierec.ui.compare.cost_charts import CostName
from movierec.ui.compare.data import Compared
from movierec.ui.compare.facts import LEADS, MANY
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.tables import Column, html_table
from movierec.ui.components.versions import charts as model_charts

__all__ = ["head", "overview", "verdicts"]

_GROUNDS = re.compile(r" \([^)]*\)")  # numbers in brackets, which stand below the title
_COSTS: Mapping[str, CostName] = {
    "Seconds": "seconds",
    "Parameters": "parameters",
    "Memory": "memory_mb",
}
_DIFFERS = " differs: "
_MARKS = {
    "better": ("▲", "good", "better"),
    "worse": ("▼", "bad", "worse"),
    "mixed": ("◆", "mixed", "mixed"),
    "can't tell": ("=", "same", "no difference for sure"),
    "none": ("✕", "none", "not comparable"),
}


def head(found: Comparison) -> None:
    """Draw who is ahead, and what that was measured on."""
    kicker = f"Compare · {len(found.versions)} versions · baseline {found.baseline}"
    title = _GROUNDS.sub("", facts.headline(found))
    widgets.heading(kicker, title, found.measured_on)


def verdicts(side: Compared) -> None:
    """Draw a sentence per pair, and for those that cannot be compared why and what helps."""
    pairs = list(side.found.pairs.values())
    widgets.html(f'<ul class="mr-verdicts">{"".join(map(_verdict, pairs))}</ul>')
    apart = [pair for pair in pairs if pair.obstacles]
    if apart:
        _obstacles(side, apart)


def overview(side: Compared) -> None:
    """Draw every number, then how training went, what differs and what it costs."""
    widgets.html(table.metrics_table(side.found, side.styles))
    widgets.mute(table.LEGEND)
    _curves(side)
    left, right = st.columns(2, gap="large")
    with left:
        _settings(side.found)
    with right:
        _cost(side)
    if len(side.found.versions) >= MANY:
        _many(side)


def _verdict(pair: Pair) -> str:
    mark, kind, word = _MARKS[_outcome(pair)]
    below = "".join(f"<small>{escape(caveat)}</small>" for caveat in pair.caveats)
    return (
        f'<li class="mr-{kind}"><b title="{word}">{mark}</b>'
        f"<span>{escape(pair.sentence)}{below}</span></li>"
    )


def _outcome(pair: Pair) -> str:
    if pair.obstacles:
        return "none"
    said = {d.verdict for key in LEADS if (d := pair.difference(key)) is not None}
    if {"better", "worse"} <= said:
        return "mixed"
    return next((word for word in ("better", "worse") if word in said), "can't tell")


def _obstacles(side: Compared, apart: Sequence[Pair]) -> None:
    """Draw why versions cannot be compared with the baseline, and offer what helps."""
    names = ", ".join(pair.version for pair in apart)
    with st.container(border=True, key="obstacles"):
        widgets.html(
            f'<p class="mr-step">{escape(names)}: not measured as {escape(side.found.baseline)} '
            "was, so no difference is shown</p>"
        )
        columns = [Column("Version"), Column("What differs"), Column(side.found.baseline),
                   Column("The version")]  # fmt: skip
        rows = [
            [pair.version, o.what[:1].upper() + o.what[1:], o.baseline, o.version]
            for pair in apart
            for o in pair.obstacles
        ]
        widgets.html(html_table("Why versions cannot be compared", columns, rows))
        for message in dict.fromkeys(o.message for pair in apart for o in pair.obstacles):
            if _DIFFERS not in message:  # else the table has said all of it
                widgets.mute(message)
        _remedies(side, apart)


def _remedies(side: Compared, apart: Sequence[Pair]) -> None:
    wanted = {obstacle.remedy for pair in apart for obstacle in pair.obstacles}
    names = [*side.found.versions]
    label = " and ".join(names) if len(names) == 2 else f"all {len(names)}"
    # what must be restored or trained again is not mended by measuring
    if wanted <= {"common", "again"} and st.button(
        f"Measure {label} on the same ratings now", key="measure",
        icon=":material/balance:", type="primary", disabled=_is_measuring(),
        help="A run in the queue: each ranks and predicts held-out ratings that none of them has "
        "seen. Fewer versions with more of their split in common leave more ratings.",
    ):  # fmt: skip
        with shell.errors_in_words():
            jobs.submit_measure(cache.settings(), names)
            st.rerun()
    for pair in apart:
        if all(obstacle.remedy != "restore" for obstacle in pair.obstacles):
            retrain.link(side.records[pair.version], on=side.records[pair.baseline])


def _is_measuring() -> bool:
    return any(run.kind == "evaluate" for run in cache.active_runs())


def _curves(side: Compared) -> None:
    records = side.records
    histories = {
        name: model_charts.history_frame(record.metadata.training_history)
        for name, record in records.items()
    }
    drawn = {name: frame for name, frame in histories.items() if not frame.empty}
    widgets.section("How they were trained")
    if not drawn:
        widgets.mute("Baselines are computed in one go, so there is no training curve.")
        return
    names = [
        n for n in model_charts.CURVES if any(n in model_charts.measured(f) for f in drawn.values())
    ]
    with st.container(horizontal=True):
        curve = st.segmented_control(
            "Curves of", names, default=names[0], required=True, key="curves",
            bind="query-params",
        )  # fmt: skip
        over = st.segmented_control(
            "Over", ["Epochs", "Seconds"], default="Epochs", required=True, key="over",
            bind="query-params",
        )  # fmt: skip
    figure = charts.curves(drawn, curve, side.styles, x="seconds" if over == "Seconds" else "epoch")
    without = [name for name in records if name not in drawn]
    note = "Measured on the validation part, which picks the epoch; not on the test part."
    if without:
        note += f" No curve: {', '.join(without)}."
    widgets.figure(figure, "compare-curves", note=note)


def _settings(found: Comparison) -> None:
    widgets.section("What differs in them")
    if not found.settings:
        widgets.mute("Nothing: they have the same settings, seed, machine and code.")
        return
    widgets.html(facts.settings_table(found))
    widgets.mute("Only what differs; hashes, dates and durations are left out.")


def _cost(side: Compared) -> None:
    found = side.found
    widgets.section("Accuracy against cost")
    with st.container(horizontal=True):
        cost = st.segmented_control(
            "Cost", list(_COSTS), default="Seconds", required=True, key="cost", bind="query-params"
        )
        labels = [BY_KEY[key].label for key in LEADS]
        label = st.segmented_control(
            "Accuracy", labels, default=labels[0], required=True, key="accuracy",
            bind="query-params",
        )  # fmt: skip
    key = LEADS[labels.index(label)]
    figure = charts.pareto(found.costs, found.values, key, side.styles, x=_COSTS[cost])
    widgets.figure(figure, "compare-cost")


def _many(side: Compared) -> None:
    folded = st.expander(
        "All of them across settings and metrics", icon=":material/stacked_line_chart:",
        key="across", on_change="rerun", bind="query-params",
    )  # fmt: skip
    if not folded.open:  # a chart that nobody looks at costs a tenth of a second
        return
    with folded:
        figure = charts.parallel(side.found, side.records)
        if figure is None:
            widgets.mute("They do not differ in any setting that has a scale.")
            return
        widgets.figure(
            figure, "compare-parallel", height=360,
            note="One line per version; the axes are what differs, then the metrics.",
        )  # fmt: skip
