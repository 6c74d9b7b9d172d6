"""Figures of versions side by side: what they draw, what they say, what they leave out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from movierec.comparison.differences import pareto_front
from movierec.comparison.results import Cost, SliceDiff
from movierec.metadata import ReliabilityBin, VersionMetadata
from movierec.ui.compare import charts, slice_charts
from movierec.ui.components.text import decimal
from movierec.ui.components.theme import NEUTRAL, version_style
from movierec.ui.components.versions import curves, reliability
from movierec.ui.components.versions.curves import CURVES, history_frame
from movierec.ui.components.versions.reliability import reliability_frame
from tests.support.comparisons import NAMES, STYLES, apart, comparison, difference, slice_diff
from tests.support.states import epochs
from tests.unit.ui.components.versions.test_curves import shifted


def title_of(figure: go.Figure) -> str:
    return str(figure.layout.title.text)


def alt_of(figure: go.Figure) -> str:
    return str(figure.layout.meta["alt"])


def named(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


HISTORIES = {
    "v1.0.0": history_frame(shifted(0.2)),
    "v1.1.0": history_frame(shifted(0.0, n=30, best=25)),
    "v1.2.0": history_frame(shifted(0.1)),
}


@pytest.mark.parametrize("name", CURVES)
def test_curves_have_the_style_of_their_version(name) -> None:
    drawn = named(curves.curves_of_versions(HISTORIES, name, STYLES))
    for version, history in HISTORIES.items():
        line, mark = drawn[version], drawn[f"{version}, kept"]
        style = STYLES[version]
        assert (line.line.color, line.line.dash, line.marker.symbol) == (
            style.colour, style.dash, style.symbol,
        )  # fmt: skip
        assert list(line.y) == pytest.approx(list(history[CURVES[name].column]))
        assert mark.marker.symbol == style.symbol
        kept = 25 if version == "v1.1.0" else 14
        assert (mark.x[0], mark.y[0]) == (kept, history[CURVES[name].column].iloc[kept - 1])


def test_curves_over_seconds_add_up_the_epochs() -> None:
    figure = curves.curves_of_versions(HISTORIES, "RMSE", STYLES, x="seconds")
    line = named(figure)["v1.1.0"]
    assert list(line.x) == pytest.approx([1.2 * e for e in range(1, 31)])
    assert named(figure)["v1.1.0, kept"].x[0] == pytest.approx(30.0)
    assert figure.layout.xaxis.title.text == "time in epochs (s)"
    assert title_of(figure).endswith(", after 30.0 s")


def test_the_title_of_curves_states_the_best_but_not_of_losses() -> None:
    best = decimal(float(HISTORIES["v1.1.0"]["val_rmse"].iloc[24]))
    title = title_of(curves.curves_of_versions(HISTORIES, "RMSE", STYLES))
    assert title == f"v1.1.0 has the best validation RMSE: {best} at epoch 25"
    title = title_of(curves.curves_of_versions(HISTORIES, "NDCG@10", STYLES))
    assert title.startswith("v1.0.0 has the best validation NDCG@10")
    assert "best" not in title_of(curves.curves_of_versions(HISTORIES, "Loss", STYLES))


def test_curves_leave_out_what_was_not_measured() -> None:
    gone = {**HISTORIES, "v1.2.0": HISTORIES["v1.2.0"].assign(val_rmse=np.nan)}
    figure = curves.curves_of_versions(gone, "RMSE", STYLES)
    assert "v1.2.0" not in named(figure)
    assert "v1.2.0" not in alt_of(figure)
    nothing = {name: frame.assign(val_rmse=np.nan) for name, frame in HISTORIES.items()}
    figure = curves.curves_of_versions(nothing, "RMSE", STYLES)
    assert len(figure.data) == 0
    assert "No RMSE was measured" in title_of(figure)
    untimed = {"v1.0.0": HISTORIES["v1.0.0"].assign(seconds=np.nan)}
    assert len(curves.curves_of_versions(untimed, "RMSE", STYLES, x="seconds").data) == 0
    one = curves.curves_of_versions({"v1.0.0": history_frame(epochs(1, 1))}, "RMSE", STYLES)
    assert len(one.data) == 2


def test_the_front_is_what_no_other_beats() -> None:
    points = {"a": (1, 1), "b": (2, 3), "c": (2, 2), "d": (3, 3), "e": (5, 4), "f": (2, 3)}
    assert pareto_front(points) == ("a", "b", "f", "e")
    assert pareto_front({"a": (1, math.nan), "b": (math.nan, 1)}) == ()
    assert pareto_front({}) == ()


def test_the_front_against_a_naive_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = {str(i): (float(a), float(b)) for i, (a, b) in
                  enumerate(rng.integers(0, 6, size=(12, 2)))}  # fmt: skip
        beaten = {
            n for n, (a, b) in points.items()
            if any(c <= a and d >= b and (c, d) != (a, b) for c, d in points.values())
        }  # fmt: skip
        assert set(pareto_front(points)) == set(points) - beaten


def test_cost_against_an_error_that_should_be_low() -> None:
    found = comparison()
    figure = charts.pareto(found.costs, found.values, "rmse", STYLES)
    drawn = named(figure)
    # v1.2.0 is best and dearest, v1.1.0 worst and cheapest, v1.0.0 in between
    assert list(drawn["Pareto front"].x) == [40.0, 90.0, 95.0]
    assert drawn["Pareto front"].line.shape == "hv"
    assert [drawn[name].x[0] for name in NAMES] == [90.0, 40.0, 95.0]
    assert drawn["v1.0.0"].marker.symbol == STYLES["v1.0.0"].symbol
    assert "no version wins on both" in title_of(figure)
    assert figure.layout.yaxis.title.text == "test RMSE (stars), lower is better"


def test_cost_against_a_metric_that_should_be_high_and_a_missing_cost() -> None:
    found = comparison()
    figure = charts.pareto(found.costs, found.values, "ndcg_full", STYLES)
    assert title_of(figure) == (
        "No version is quicker to train than v1.1.0, and none is better in NDCG@10 full"
    )
    drawn = named(figure)
    assert drawn["v1.2.0"].marker.symbol == f"{STYLES['v1.2.0'].symbol}-open"  # beaten
    assert "beaten by another" in drawn["v1.2.0"].hovertemplate
    figure = charts.pareto(found.costs, found.values, "rmse", STYLES, x="memory_mb")
    assert "v1.1.0" not in named(figure)
    assert "Not recorded: v1.1.0." in alt_of(figure)
    assert "(MB)" in figure.layout.xaxis.title.text


@pytest.mark.parametrize("costs", [[], [math.nan, math.nan], [3.0], [0.0, 500.0], [5.0, 5.0]])
def test_cost_of_few_or_no_versions(costs: list[float]) -> None:
    made = [Cost(NAMES[i], cost, 10, 1.0, 1) for i, cost in enumerate(costs)]
    figure = charts.pareto(made, comparison().values, "rmse", STYLES)
    assert title_of(figure)
    assert json.loads(figure.to_json())
    assert figure.layout.xaxis.type != "log"  # zero has no place there


def test_costs_far_apart_are_drawn_by_factors() -> None:
    made = [Cost("v1.0.0", 2.0, 10, 1.0, 1), Cost("v1.1.0", 900.0, 10, 1.0, 1)]
    figure = charts.pareto(made, comparison().values, "rmse", STYLES)
    assert figure.layout.xaxis.type == "log"
    assert "log scale" in figure.layout.xaxis.title.text
    assert list(figure.layout.xaxis.tickvals) == [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        1000,
        2000,
        5000,
    ]
    assert figure.layout.xaxis.ticktext[-3] == "1,000"


def test_of_many_versions_those_on_the_front_are_named() -> None:
    names = [f"v1.{i}.0" for i in range(40)]
    costs = [Cost(name, 100.0 + i, 10, 1.0, 1) for i, name in enumerate(names)]
    metrics = {name: {"rmse": 0.9 + 0.001 * i} for i, name in enumerate(names)}
    styles = {name: version_style(name, names) for name in names}
    figure = charts.pareto(costs, metrics, "rmse", styles)
    assert [n for n, t in named(figure).items() if "text" in t.mode] == ["v1.0.0"]


def record(preset: str = "default", **settings: object) -> SimpleNamespace:
    return SimpleNamespace(preset=preset, metadata=VersionMetadata(hyperparameters=settings))


def test_parallel_axes_are_what_differs_then_the_metrics() -> None:
    found = comparison()
    records = {
        "v1.0.0": record(hidden_dim=64, dropout=0.2, loss_type="mse"),
        "v1.1.0": record(hidden_dim=128, dropout=0.2, loss_type="ordinal"),
        "v1.2.0": record(hidden_dim=32, dropout=0.2, loss_type="ordinal"),
    }
    figure = charts.parallel(found, records)
    assert list(figure.layout.xaxis.ticktext) == ["hidden_dim", "loss_type", "RMSE", "NDCG@10 full"]
    best = figure.data[-1]
    assert best.y[0] == 0.0  # 32, the smallest
    assert best.y[2] == 1.0  # the lowest RMSE is on top
    assert (
        title_of(figure) == f"v1.2.0 has the best RMSE of 3, {found.values['v1.2.0']['rmse']:.4f}"
    )
    turned = charts.parallel(found, records, "ndcg_full")
    assert title_of(turned).startswith("v1.1.0 has the best NDCG@10 full of 3")
    assert turned.data[-1].y[-1] == 0.0  # its RMSE is the worst


def test_a_version_without_a_setting_is_at_the_foot_of_its_axis() -> None:
    records = {
        "v1.0.0": record(hidden_dim=64), "v1.1.0": record("ease"), "v1.2.0": record(hidden_dim=32),
    }  # fmt: skip
    figure = charts.parallel(comparison(), records)
    ticks = [(note.x, note.y, note.text) for note in figure.layout.annotations]
    axis = list(figure.layout.xaxis.ticktext).index("hidden_dim")
    assert (axis, 0.0, "none") in ticks
    heights = [trace.y[axis] for trace in figure.data[:-1]]
    assert sorted(heights) == pytest.approx([0.0, 1.0])
    assert figure.data[-1].y[axis] == pytest.approx(0.15)  # the smallest of those that have it


def test_settings_far_apart_go_by_factors() -> None:
    rates = {"v1.0.0": 0.001, "v1.1.0": 0.01, "v1.2.0": 0.1}
    records = {name: record(learning_rate=rate, dropout=rate / 0.4 if rate > 0.001 else 0.0)
               for name, rate in rates.items()}  # fmt: skip
    figure = charts.parallel(comparison(), records)
    assert list(figure.layout.xaxis.ticktext)[:2] == ["learning_rate (log)", "dropout"]
    assert any(trace.y[0] == pytest.approx(0.5) for trace in figure.data)


def test_parallel_axes_need_something_that_differs_and_two_values() -> None:
    found, same = comparison(), {name: record(hidden_dim=64) for name in NAMES}
    assert charts.parallel(found, same) is None
    differ = {**same, "v1.1.0": record(hidden_dim=32)}
    bare = {name: {**found.values[name], "rmse": math.nan} for name in NAMES}
    assert charts.parallel(replace(found, values=bare), differ) is None
    few = {**found.values, "v1.1.0": bare["v1.1.0"]}
    figure = charts.parallel(replace(found, values=few), differ)
    assert "of 3" in title_of(figure)
    assert "nan" not in title_of(figure) + alt_of(figure)


def test_parallel_axes_of_500_versions_stay_few_traces() -> None:
    names = tuple(f"v1.{i}.0" for i in range(500))
    records = {n: record(**{f"s{j}": i % (j + 2) for j in range(20)}) for i, n in enumerate(names)}
    metrics = {n: {"rmse": 0.9 + i / 1000, "ndcg_full": 0.1} for i, n in enumerate(names)}
    found = replace(comparison(), versions=names, values=metrics, pairs={})
    figure = charts.parallel(found, records)
    assert len(figure.data) == 6
    drawn = sum(np.isnan(np.array(trace.y, float)).sum() for trace in figure.data[:-1])
    assert drawn == 499  # a gap after each line but the best one's
    assert "(6 of 20 that differ)" in alt_of(figure)


def test_beside_accuracy_everything_is_a_share_of_the_baselines() -> None:
    found = comparison()
    figure = charts.beyond(found, STYLES)
    more = named(figure)["v1.1.0"]
    share = dict(zip(more.y, more.x, strict=True))
    assert share["Coverage ↑"] == pytest.approx(100 * 0.03 / found.values["v1.0.0"]["coverage"])
    assert set(share) == {
        "Coverage ↑", "Gini of exposure ↓", "Popularity bias ↓", "Novelty (bits) ↑", "Diversity ↑",
        "Personalisation ↑",
    }  # fmt: skip
    assert "instead of" in more.text[0]
    assert title_of(figure) == (
        "v1.1.0 shows 69.0 % of the movies to somebody, the others at most 66.0 %"
    )
    assert "v1.1.0" not in named(charts.beyond(apart(found, "v1.1.0"), STYLES))


def test_beside_accuracy_with_nothing_to_compare() -> None:
    found = apart(apart(comparison(), "v1.1.0"), "v1.2.0")
    figure = charts.beyond(found, STYLES)
    assert len(figure.data) == 0
    assert "nothing was measured" in title_of(figure)
    zero = {name: dict.fromkeys(found.values[name], 0.0) for name in NAMES}
    figure = charts.beyond(replace(comparison(), values=zero), STYLES)
    assert len(figure.data) == 0  # no share of nothing


DIFFS = (
    slice_diff("18-24", 0.05), slice_diff("25-34", 0.0), slice_diff("<b>$x$</b>", -0.04),
    slice_diff("1920s", 0.0, kind="decade", users=2),
)  # fmt: skip


def test_the_forest_keeps_the_order_and_marks_sure_changes() -> None:
    figure = slice_charts.forest(DIFFS, "rmse", STYLES["v1.1.0"])
    drawn = named(figure)
    assert list(drawn) == ["worse (1)", "better (1)", "can't tell (2)"]
    assert drawn["worse (1)"].marker.symbol == "triangle-down"
    assert drawn["better (1)"].marker.symbol == "triangle-up"
    assert drawn["can't tell (2)"].marker.color == NEUTRAL
    assert drawn["worse (1)"].marker.color == STYLES["v1.1.0"].colour
    assert drawn["worse (1)"].error_x.array[0] == pytest.approx(0.01)
    assert list(figure.layout.yaxis.categoryarray)[::-1][:2] == ["Age: 18-24", "Age: 25-34"]
    assert title_of(figure) == ("RMSE in 4 groups: worse in 1, better in 1, inconclusive in 2")
    figure = slice_charts.forest(DIFFS[:1], "rmse", STYLES["v1.1.0"])
    assert title_of(figure) == "RMSE in 1 group: worse in 1"
    assert figure.layout.xaxis.title.text == "change of RMSE (stars)<br>left is better"


def test_names_of_groups_are_text() -> None:
    figure = slice_charts.forest(DIFFS, "rmse", STYLES["v1.1.0"])
    drawn = [text for trace in figure.data for text in [*trace.y, *trace.text]]
    everything = " ".join([*drawn, *figure.layout.yaxis.categoryarray, title_of(figure)])
    assert "Age: <b>$x$</b>" in alt_of(figure)  # which is no HTML
    assert "<b>" not in everything
    assert "$x$" not in everything


def test_small_groups_do_not_widen_the_axis() -> None:
    wide = replace(DIFFS[3], difference=difference("rmse", 0.0, width=5.0))
    figure = slice_charts.forest([*DIFFS[:3], wide], "rmse", STYLES["v1.1.0"])
    low, high = figure.layout.xaxis.range
    assert -0.1 < low < -0.05 < 0.06 < high < 0.1
    assert {note.text for note in figure.layout.annotations} == {"◀", "▶"}
    lone = replace(DIFFS[3], difference=replace(wide.difference, delta=2.0, low=math.nan,
                                                high=math.nan))  # fmt: skip
    figure = slice_charts.forest([*DIFFS[:3], lone], "rmse", STYLES["v1.1.0"])
    assert [note.text for note in figure.layout.annotations] == ["▶"]
    alone = slice_charts.forest([wide], "rmse", STYLES["v1.1.0"])
    assert alone.layout.xaxis.range[0] < -5


def nameless(value: float) -> SliceDiff:
    found = replace(difference("rmse", 0.0), low=value, high=value, delta=value)
    return replace(DIFFS[0], difference=found)


def test_a_forest_of_nothing() -> None:
    figure = slice_charts.forest([], "ndcg_full", STYLES["v1.1.0"])
    assert "no group" in title_of(figure)
    figure = slice_charts.forest([nameless(math.nan)], "rmse", STYLES["v1.1.0"])
    assert title_of(figure) == "RMSE was measured for no group"
    assert "nan" not in title_of(figure) + alt_of(figure)
    assert not any(map(math.isnan, figure.layout.xaxis.range))


RELIABLE = [
    ReliabilityBin(
        threshold=t, bin=b, predicted=b / 10 + 0.05, observed=b / 10 + 0.05 + gap, count=n
    )
    for t, gap, n in ((1.0, 0.02, 100), (2.0, 0.0, 100))
    for b in range(10)
]  # fmt: skip
OFF = [row.model_copy(update={"observed": row.predicted - 0.03}) for row in RELIABLE]


def test_reliability_pools_the_thresholds_by_their_counts() -> None:
    pooled = reliability.pooled(reliability_frame(RELIABLE))
    assert list(pooled["observed"] - pooled["predicted"]) == pytest.approx([0.01] * 10)
    assert list(pooled["count"]) == [200] * 10
    uneven = [*RELIABLE[:1], RELIABLE[10].model_copy(update={"count": 300})]
    (observed,) = reliability.pooled(reliability_frame(uneven))["observed"]
    assert observed == pytest.approx((100 * 0.07 + 300 * 0.05) / 400)


def test_reliability_says_who_is_calibrated_best() -> None:
    figure = reliability.of_several({"v1.0.0": OFF, "v1.1.0": RELIABLE}, STYLES)
    assert title_of(figure) == ("v1.1.0 is calibrated best: 1.0 points off on average, v1.0.0 3.0")
    exact, first, second = figure.data
    assert exact.line.dash == "dash"
    assert (first.marker.symbol, second.marker.symbol) == ("circle", "diamond")
    assert list(second.x) == pytest.approx([10 * b + 5 for b in range(10)])
    same = reliability.of_several({"v1.0.0": OFF, "v1.1.0": OFF}, STYLES)
    assert title_of(same) == "All are calibrated alike: 3.0 points off on average"
    alone = reliability.of_several({"v1.0.0": OFF}, STYLES)
    assert title_of(alone) == "The probabilities of v1.0.0 are 3.0 points off on average"


def levels(by: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"level": [1.0, 2.0, 3.0], "rmse": [1.5 + by, 0.9, 0.6], "bias": [1.3, 0.5, -0.2],
         "ratings": [10, 20, 30]}
    )  # fmt: skip


def test_error_by_true_rating_has_rmse_above_and_bias_below() -> None:
    figure = slice_charts.error_by_rating({"v1.0.0": levels(), "v1.1.0": levels(0.2)}, STYLES)
    rmse, bias = figure.data[:2]
    assert (list(rmse.y), list(bias.y)) == ([1.5, 0.9, 0.6], [1.3, 0.5, -0.2])
    assert [trace.showlegend for trace in figure.data] == [True, False, True, False]
    assert title_of(figure) == (
        "1-star ratings are hardest; v1.0.0 does best on them: 1.50 stars off"
    )
    assert "2 stars 0.90 (+0.50)" in alt_of(figure)
    assert figure.layout.yaxis2.title.text == "predicted − true (stars)"


def test_error_by_true_rating_of_one_and_of_none() -> None:
    assert title_of(slice_charts.error_by_rating({"v1.0.0": levels()}, STYLES)) == (
        "1-star ratings are hardest: 1.50 stars off"
    )
    both = {"v1.0.0": levels(), "v1.1.0": levels()}
    assert title_of(slice_charts.error_by_rating(both, STYLES)).endswith("hardest: 1.50 stars off")
    none = levels().assign(rmse=np.nan, bias=np.nan)
    figure = slice_charts.error_by_rating({"v1.0.0": none}, STYLES)
    assert title_of(figure) == "No stars were predicted"
    figure = slice_charts.error_by_rating({"v1.0.0": none, "v1.1.0": levels()}, STYLES)
    assert "1.50 stars off" in title_of(figure)
