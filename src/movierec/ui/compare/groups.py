"""The Compare page's views on groups of users and movies, and on predicted stars."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from movierec.comparison.metrics import BEYOND, BY_KEY
from movierec.comparison.results import SliceDiff
from movierec.ui.compare import charts, facts, slice_charts
from movierec.ui.compare.data import Compared, pick
from movierec.ui.compare.slice_charts import SLICES, group_name
from movierec.ui.components import widgets
from movierec.ui.components.versions import reliability

__all__ = ["groups", "stars"]


def groups(compared: Compared) -> None:
    """Draw how each group of users and movies fares, those that lost first."""
    version = pick(compared, "groups-of")
    if version is None:
        return
    found, slices = compared.found, compared.slices(version)
    if not slices:
        widgets.mute("The data set of these versions is not here, so its groups are not known.")
        return
    _summary(found.baseline, version, slices)
    keys = list(dict.fromkeys(diff.metric for diff in slices))
    labels = {_metric_name(key): key for key in keys}
    left, right = st.columns(2)
    with left:
        label = widgets.switch("Change of", list(labels), "slice-metric")
    chosen = [diff for diff in slices if diff.metric == labels[label]]
    kinds = list(dict.fromkeys(diff.slice for diff in chosen))
    names = {SLICES.get(kind, kind.capitalize()): kind for kind in kinds}
    with right:
        kind = widgets.switch("Groups", ["All", *names], "slice-kind")
    shown = chosen if kind == "All" else [d for d in chosen if d.slice == names[kind]]
    figure = slice_charts.forest(shown, labels[label], compared.styles[version])
    widgets.figure(figure, "slices")
    with st.expander(f"The {len(shown)} groups as a table", key="slices-table"):
        widgets.html(facts.groups_table(shown, found.baseline, version))


def stars(compared: Compared) -> None:
    """Draw predicted against true stars, calibration, and what the lists are like."""
    alike, styles = compared.found.alike, compared.styles
    left, right = st.columns(2, gap="large")
    with left:
        errors = {name: compared.errors(name) for name in alike}
        known = {name: frame for name, frame in errors.items() if frame is not None}
        if known:
            figure = slice_charts.error_by_rating(known, styles)
            widgets.figure(figure, "error-by-rating")
        else:
            widgets.mute("None of these versions predicts stars.")
    with right:
        tables = {name: compared.evidence[name].record.metadata.reliability for name in alike}
        drawn = {name: rows for name, rows in tables.items() if rows}
        if drawn:
            widgets.figure(reliability.of_several(drawn, styles), "reliability-of-all")
        else:
            widgets.mute("None of these versions gives probabilities.")
    widgets.section("Beside accuracy")
    widgets.figure(charts.beyond(compared.found, styles), "beyond")
    hints = {BY_KEY[metric.key].label: metric.hint for metric in BEYOND}
    with st.expander("What these say", key="beyond-hints"):
        widgets.facts(hints)


def _summary(baseline: str, version: str, slices: Sequence[SliceDiff]) -> None:
    worse = [diff for diff in slices if diff.difference.verdict == "worse"]
    better = [diff for diff in slices if diff.difference.verdict == "better"]
    if worse:
        names = "; ".join(
            group_name(diff) + f" ({_metric_name(diff.metric)})" for diff in worse[:3]
        )
        more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        title = f"{version} is worse than {baseline} for {names}{more}"
    else:
        title = f"No group is significantly worse with {version} than with {baseline}"
    widgets.section(title)
    widgets.mute(
        f"{len(better)} of {len(slices)} differences are better and {len(worse)} worse, after "
        "Holm's correction over all of them; for the others it cannot be told. Intervals are 95 %, "
        "from a paired bootstrap over users."
    )


def _metric_name(key: str) -> str:
    return BY_KEY[key].label
