"""The table of a comparison: every number, its change, and who is best."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html import unescape

import pytest

from movierec.comparison.metrics import BEYOND, BY_KEY, METRICS, PAIRED
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.ui.compare.facts import LEGEND, best_of, metrics_table
from movierec.ui.components.tables import Bar, Cell, Change, Column, html_table
from tests.support.comparisons import NAMES, STYLES, apart, comparison, difference, values


def rows(html: str) -> dict[str, list[str]]:
    """The text of each row's cells by its heading; both tables one after the other."""
    found: dict[str, list[str]] = {}
    for row in re.findall(r"<tr class=.*?</tr>", html):
        head, *cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        found.setdefault(text_of(head), []).extend(text_of(cell) for cell in cells)
    return found


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html)).strip()


def test_every_value_and_change_is_there_with_its_digits() -> None:
    found = comparison()
    table = rows(metrics_table(found, STYLES))
    metrics = [*PAIRED, *BEYOND]
    for name in NAMES:
        cells = next(cells for head, cells in table.items() if head.startswith(name))
        for metric, cell in zip(metrics, cells, strict=True):
            assert value_text(metric.key, found.values[name][metric.key]) in cell
            if name != "v1.0.0":
                change = delta_text(metric.key, found.pairs[name].deltas[metric.key])
                assert change in cell
    assert table["v1.0.0 baseline"][0] == "0.5000"


def test_signs_say_better_and_worse_in_each_metrics_direction() -> None:
    table = rows(metrics_table(comparison(), STYLES))
    more, less = table["v1.1.0"], table["v1.2.0"]
    for metric, cell in zip(METRICS, more, strict=True):
        sign = "▼" if metric.lower_is_better else "▲"
        assert (sign in cell) == (metric in PAIRED)
        assert not {"▲", "▼", "="} - {sign} & set(cell)
    assert all("=" in cell for cell in less[: len(PAIRED)])


def test_the_hint_says_the_interval_and_the_verdict() -> None:
    html = unescape(metrics_table(comparison(), STYLES))
    interval = interval_text("ndcg_full", 0.02, 0.04)
    assert f"NDCG@10 full +0.030, 95 % interval {interval}: better" in html
    assert "Coverage +0.030 from v1.0.0" in html


def test_the_best_is_marked_in_its_direction_among_those_compared() -> None:
    found = comparison()
    assert best_of(found, BY_KEY["rmse"]) == found.values["v1.2.0"]["rmse"]
    assert best_of(found, BY_KEY["ndcg_full"]) == found.values["v1.1.0"]["ndcg_full"]
    table = rows(metrics_table(found, STYLES))
    stars = {head: sum("★" in cell for cell in cells) for head, cells in table.items()}
    lower = sum(metric.lower_is_better for metric in METRICS)
    assert stars["v1.2.0"] == lower
    assert stars["v1.1.0"] == len(METRICS) - lower
    assert sum(stars.values()) == len(METRICS)  # no baseline, no group of seeds

    without = apart(found, "v1.1.0")
    assert best_of(without, BY_KEY["ndcg_full"]) == found.values["v1.0.0"]["ndcg_full"]
    assert math.isnan(best_of(apart(without, "v1.2.0"), BY_KEY["rmse"]))


def test_what_cannot_be_compared_has_values_and_no_change() -> None:
    table = rows(metrics_table(apart(comparison(), "v1.1.0"), STYLES))
    cells = table["v1.1.0 not comparable"]
    assert cells[0] == "0.5300"
    assert all(re.fullmatch(r"[\d.]+", cell) for cell in cells)


def test_baselines_and_seeds_are_rows_of_their_own() -> None:
    table = rows(metrics_table(comparison(), STYLES))
    assert [*table][3:] == [
        "default 2 seeds, mean ± standard deviation", "averages simple baseline",
        "random simple baseline",
    ]  # fmt: skip
    assert re.sub(r"\s+", " ", table["default 2 seeds, mean ± standard deviation"][0]) == (
        "0.5100 ± 0.0123"
    )
    assert table["random simple baseline"][0] == "–"


def test_what_was_measured_for_none_has_no_column() -> None:
    found = comparison()
    bare = {name: {**values(), "ece": math.nan, "nll": math.nan} for name in NAMES}
    html = metrics_table(replace(found, values=bare), STYLES)
    assert "NLL" not in html
    assert "Coverage" in html
    only = {name: {"rmse": 0.9} for name in NAMES}
    html = metrics_table(replace(found, values=only, floors={}, groups=()), STYLES)
    assert html.count("<table") == 1
    assert "MAE" not in html


def test_a_metric_that_one_version_lacks_is_a_dash() -> None:
    found = comparison()
    known = {**found.values, "v1.1.0": {**found.values["v1.1.0"], "rmse": math.nan}}
    gone = replace(
        found.pairs["v1.1.0"],
        differences=found.pairs["v1.1.0"].differences[1:],
        deltas={**found.pairs["v1.1.0"].deltas, "rmse": math.nan},
    )
    changed = replace(found, values=known, pairs={**found.pairs, "v1.1.0": gone})
    cell = rows(metrics_table(changed, STYLES))["v1.1.0"][0]
    assert cell == "–"


def test_directions_are_in_the_heads_and_the_legend() -> None:
    html = metrics_table(comparison(), STYLES)
    for metric in METRICS:
        arrow = "↓" if metric.lower_is_better else "↑"
        assert f">{metric.label}\u00a0{arrow}</th>" in html
    assert {"↑", "↓", "★", "▲", "▼", "="} <= set(LEGEND)


def test_names_are_text() -> None:
    found = comparison()
    group = replace(found.groups[0], label="<b>x</b>")
    html = metrics_table(replace(found, groups=(group,)), STYLES)
    assert "<b>x</b>" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html


def styles_of(html: str, tag: str) -> list[str]:
    return re.findall(rf'<{tag} style="([^"]*)"', html)


def test_a_bar_is_as_long_as_its_interval() -> None:
    change = Change("+0.5", "good", Bar(0.5, 0.25, 1.0, 1.0), "<hint>")
    html = html_table("t", [Column("a"), Column("b")], [["x", Cell("1", change=change)]])
    assert styles_of(html, "i") == ["left:62.5%;width:37.5%"]
    assert styles_of(html, "u") == ["left:75.0%"]
    assert "&lt;hint&gt;" in html
    assert "<hint>" not in html


@pytest.mark.parametrize("scale", [0.0, math.nan, 1e-300])
def test_a_bar_never_leaves_its_box(scale: float) -> None:
    change = Change("+9", None, Bar(9.0, -9.0, math.inf, scale))
    html = html_table("t", [Column("a"), Column("b")], [["x", Cell("1", change=change)]])
    for style in [*styles_of(html, "i"), *styles_of(html, "u")]:
        assert all(0 <= float(part) <= 100 for part in re.findall(r"[\d.]+(?=%)", style))
    assert "nan" not in html


def test_right_of_the_line_is_better_for_errors_too() -> None:
    found = comparison()
    one = replace(found.pairs["v1.1.0"], differences=(difference("rmse", -0.03),))
    only = replace(found, versions=NAMES[:2], pairs={"v1.1.0": one})
    html = metrics_table(only, STYLES)
    # −0.04 to −0.02 about −0.03, on an axis that ends with the interval
    assert styles_of(html, "u") == ["left:87.5%"]
    assert styles_of(html, "i") == ["left:75.0%;width:25.0%"]
