"""The Compare page's first view: the verdicts, every metric, curves, settings and costs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from movierec import jobs
from movierec.comparison.compare import as_csv, as_dict
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import Comparison, Pair
from movierec.ui.compare import charts, facts
from movierec.ui.compare.charts import CostName
from movierec.ui.compare.data import Compared
from movierec.ui.compare.facts import LEADS, MANY
from movierec.ui.components import cache, forms, shell, widgets
from movierec.ui.components.versions import curves

__all__ = ["downloads", "head", "overview", "verdicts"]

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
    "can't tell": ("=", "same", "inconclusive"),
    "none": ("✕", "none", "not comparable"),
}


def head(found: Comparison) -> None:
    """Draw the headline and the test part it rests on."""
    kicker = f"Compare · {len(found.versions)} versions · baseline {found.baseline}"
    title = _GROUNDS.sub("", facts.headline(found))
    widgets.heading(kicker, title, found.measured_on)


def verdicts(compared: Compared) -> None:
    """Draw a sentence per pair; for those that cannot be compared the reasons and remedies."""
    pairs = list(compared.found.pairs.values())
    widgets.html(f'<ul class="mr-verdicts">{"".join(map(_verdict, pairs))}</ul>')
    apart = [pair for pair in pairs if pair.obstacles]
    if apart:
        _obstacles(compared, apart)


def overview(compared: Compared) -> None:
    """Draw every number, then how training went, what differs and what it costs."""
    widgets.html(facts.metrics_table(compared.found, compared.styles))
    widgets.mute(facts.LEGEND)
    _curves(compared)
    left, right = st.columns(2, gap="large")
    with left:
        _settings(compared.found)
    with right:
        _cost(compared)
    if len(compared.found.versions) >= MANY:
        _many(compared)


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


def _obstacles(compared: Compared, apart: Sequence[Pair]) -> None:
    """Draw why versions cannot be compared with the baseline, and offer what helps."""
    names = ", ".join(pair.version for pair in apart)
    with st.container(border=True, key="obstacles"):
        widgets.step(
            f"{names}: not measured as {compared.found.baseline} was, so no difference is shown"
        )
        widgets.html(facts.obstacles_table(apart))
        for message in dict.fromkeys(o.message for pair in apart for o in pair.obstacles):
            if _DIFFERS not in message:  # else the table has said all of it
                widgets.mute(message)
        _remedies(compared, apart)


def _remedies(compared: Compared, apart: Sequence[Pair]) -> None:
    wanted = {obstacle.remedy for pair in apart for obstacle in pair.obstacles}
    names = [*compared.found.versions]
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
            forms.retrain_link(compared.records[pair.version], on=compared.records[pair.baseline])


def _is_measuring() -> bool:
    return any(run.kind == "evaluate" for run in cache.active_runs())


def _curves(compared: Compared) -> None:
    drawn = curves.histories(compared.records)
    widgets.section("How they were trained")
    if not drawn:
        widgets.mute("Baselines are computed in one go, so there is no training curve.")
        return
    names = curves.measured(*drawn.values())
    with st.container(horizontal=True):
        curve = widgets.switch("Curves of", names, "curves")
        over = widgets.switch("Over", ["Epochs", "Seconds"], "over")
    figure = curves.curves_of_versions(
        drawn, curve, compared.styles, x="seconds" if over == "Seconds" else "epoch"
    )
    without = [name for name in compared.records if name not in drawn]
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


def _cost(compared: Compared) -> None:
    found = compared.found
    widgets.section("Accuracy against cost")
    with st.container(horizontal=True):
        cost = widgets.switch("Cost", list(_COSTS), "cost")
        labels = [BY_KEY[key].label for key in LEADS]
        label = widgets.switch("Accuracy", labels, "accuracy")
    key = LEADS[labels.index(label)]
    figure = charts.pareto(found.costs, found.values, key, compared.styles, x=_COSTS[cost])
    widgets.figure(figure, "compare-cost")


def _many(compared: Compared) -> None:
    folded = st.expander(
        "All of them across settings and metrics", icon=":material/stacked_line_chart:",
        key="across", on_change="rerun", bind="query-params",
    )  # fmt: skip
    if not folded.open:  # a chart that nobody looks at costs a tenth of a second
        return
    with folded:
        figure = charts.parallel(compared.found, compared.records)
        if figure is None:
            widgets.mute("They do not differ in any setting that has a scale.")
            return
        widgets.figure(
            figure, "compare-parallel", height=360,
            note="One line per version; the axes are what differs, then the metrics.",
        )  # fmt: skip


def downloads(compared: Compared) -> None:
    """Draw the download buttons; each file is made when its button is clicked."""
    name = "-".join(["compare", *compared.found.versions])[:80]
    with st.popover("Export", icon=":material/download:", width="stretch"):
        st.download_button(
            "Report (HTML)", lambda: _report(compared), f"{name}.html", "text/html",
            key="export-html", icon=":material/article:", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            "Table (CSV)", lambda: as_csv(compared.whole()), f"{name}.csv", "text/csv",
            key="export-csv", icon=":material/table:", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            "Everything (JSON)", lambda: _json(compared), f"{name}.json", "application/json",
            key="export-json", icon=":material/data_object:", on_click="ignore", width="stretch",
        )  # fmt: skip
        widgets.command(facts.command(compared.found, "--html", "report.html"))


def _report(compared: Compared) -> str:
    from movierec.ui.compare.report import report_html

    errors = {
        name: frame for name in compared.found.alike if (frame := compared.errors(name)) is not None
    }
    records = {name: evidence.record for name, evidence in compared.evidence.items()}
    return report_html(compared.whole(), records, errors, styles=compared.styles)


def _json(compared: Compared) -> str:
    return json.dumps(as_dict(compared.whole()), indent=2, ensure_ascii=False, allow_nan=False)
