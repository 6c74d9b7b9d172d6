"""Curves of several runs in one figure: who leads, who is who, what was really measured."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from movierec.store.records import EpochRecord
from movierec.ui.components.text import decimal
from movierec.ui.components.versions.curves import CURVES, CurveName, curves_of_runs, history_frame
from tests.support.states import epochs

COUNTS = range(1, 7)


def shifted(by: float, n: int = 20, best: int = 14) -> list[EpochRecord]:
    """Epochs whose every measure is so much larger."""
    return [
        replace(
            e, val_rmse=e.val_rmse + by, val_loss=e.val_loss + by, val_ndcg_10=e.val_ndcg_10 + by
        )
        for e in epochs(n, best)
    ]


def histories(count: int) -> dict[str, pd.DataFrame]:
    """Runs of which the second last is lowest in every measure and the last highest."""
    order = [*range(1, count - 1), 0, count][-count:]
    return {f"run {i} · default": history_frame(shifted(0.01 * by)) for i, by in enumerate(order)}


def lines(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if "lines" in trace.mode]


def rings(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.marker.symbol == "circle-open"]


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("count", COUNTS)
def test_the_title_states_who_leads_in_the_better_direction(count: int, name: CurveName) -> None:
    known = histories(count)
    labels, curve = list(known), CURVES[name]
    leader = labels[max(0, count - 2) if curve.lower_is_better else count - 1]
    best = known[leader].iloc[13]
    title = curves_of_runs(known, name).layout.title.text
    assert title == f"{leader} has the best {name}: {decimal(best[curve.column])} at epoch 14"


@pytest.mark.parametrize("count", COUNTS)
def test_each_run_has_a_name_a_colour_and_a_dash_that_no_other_has(count: int) -> None:
    drawn = lines(curves_of_runs(histories(count)))
    assert [trace.name for trace in drawn] == list(histories(count))
    assert len({trace.line.color for trace in drawn}) == count
    assert len({(trace.line.color, trace.line.dash) for trace in drawn}) == count
    assert all(one.line.dash != two.line.dash for one, two in pairwise(drawn))
    assert curves_of_runs(histories(count)).layout.showlegend


def test_a_run_without_values_leaves_the_others_their_colours() -> None:
    known = histories(3)
    first, second, third = known
    known[second] = known[second].assign(val_rmse=np.nan)
    figure = curves_of_runs(known)
    assert [trace.name for trace in lines(figure)] == [first, third]
    full = lines(curves_of_runs(histories(3)))
    assert [t.line.color for t in lines(figure)] == [full[0].line.color, full[2].line.color]
    assert second not in figure.layout.meta["alt"]
    assert "of 2 runs" in figure.layout.meta["alt"]


@pytest.mark.parametrize("count", COUNTS)
def test_the_best_epoch_of_each_is_ringed_in_its_colour(count: int) -> None:
    known = histories(count)
    figure = curves_of_runs(known)
    found = rings(figure)
    assert [list(ring.x) for ring in found] == [[14]] * count
    measured = [history["val_rmse"].iloc[13] for history in known.values()]
    assert [ring.y[0] for ring in found] == pytest.approx(measured)
    assert [ring.marker.color for ring in found] == [line.line.color for line in lines(figure)]


def test_the_best_epoch_is_the_one_that_was_kept_not_the_lowest_drawn() -> None:
    """Of 5,000 epochs a thousand are drawn; the kept one is ringed whether drawn or not."""
    many = epochs(5000, best=2222)
    many[2221] = replace(many[2221], val_rmse=0.123456)
    figure = curves_of_runs({"run 1": history_frame(many), "run 2": history_frame(epochs())})
    line, ring = lines(figure)[0], rings(figure)[0]
    assert 2222 not in list(line.x)
    assert (ring.x[0], ring.y[0]) == (2222, 0.123456)
    assert "0.123 at epoch 2222" in figure.layout.title.text


def test_long_curves_are_thinned_but_keep_both_ends() -> None:
    figure = curves_of_runs(
        {"run 1": history_frame(epochs(5000, 4999)), "run 2": history_frame(epochs())}
    )
    long, short = lines(figure)
    assert (len(long.x), long.x[0], long.x[-1]) == (1000, 1, 5000)
    assert list(short.x) == list(range(1, 21))
    assert long.mode == "lines"


def test_epochs_that_were_not_measured_are_left_out() -> None:
    gaps = [replace(e, val_rmse=np.nan) if e.epoch in (3, 14) else e for e in epochs()]
    figure = curves_of_runs({"run 1": history_frame(gaps), "run 2": history_frame(shifted(0.5))})
    line = lines(figure)[0]
    assert not {3, 14} & set(line.x)
    assert np.isfinite(line.y).all()
    assert rings(figure)[0].x[0] == 13  # the last best one that was measured
    assert "nan" not in figure.layout.title.text + figure.layout.meta["alt"]


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("count", COUNTS)
def test_the_text_for_the_blind_names_every_run_and_its_best(count: int, name: CurveName) -> None:
    known, curve = histories(count), CURVES[name]
    alt = curves_of_runs(known, name).layout.meta["alt"]
    assert curve.axis in alt
    assert f"of {count} run" in alt
    for label, history in known.items():
        best = decimal(history[curve.column].iloc[13])
        assert f"{label}: {best} at epoch 14" in alt
    assert len(re.findall("at epoch 14", alt)) == count + 1  # the title is in it too


@pytest.mark.parametrize("name", CURVES)
def test_axes_carry_their_units(name: CurveName) -> None:
    layout = curves_of_runs(histories(2), name).layout
    assert layout.xaxis.title.text == "epoch"
    assert layout.yaxis.title.text == CURVES[name].axis


def test_a_name_is_text_in_the_title() -> None:
    figure = curves_of_runs({"<b>$x$</b>": history_frame(epochs())})
    assert "<b>" not in figure.layout.title.text
    assert "$" not in figure.layout.title.text
