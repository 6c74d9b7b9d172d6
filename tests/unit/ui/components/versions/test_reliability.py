"""Home and its chart for a version that says how sure it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from movierec.metadata import ReliabilityBin
from movierec.settings import Settings
from movierec.store import Store
from movierec.ui.components.theme import version_style
from movierec.ui.components.versions import reliability
from tests.support import states
from tests.support.pages import charts_of, opened_page, shown

STYLE = version_style("v1.0.0", ["v1.0.0"])
NUMBERS = {
    "ece": 0.0213, "ece_per_threshold": {"1": 0.01, "2": 0.02, "3": 0.02, "4": 0.035},
    "nll": 1.2204, "coverage_80": 0.9363, "claimed_80": 0.9412, "width_80": 2.1048, "n": 20_000,
}  # fmt: skip
FITTED = {
    "method": "cut points", "reason": "", "temperature": 0.9154, "validation_ratings": 8000,
    "val_ece_before": 0.0209, "val_ece_after": 0.007, "val_nll_before": 1.2255,
    "val_nll_after": 1.217,
}  # fmt: skip


def rows(n_thresholds: int = 4) -> list[dict[str, float]]:
    return [
        {
            "threshold": 1.0 + k, "bin": b, "predicted": (b + 0.5) / 10,
            "observed": min(1.0, (b + 0.7) / 10), "count": 100 * b + 7,
        }
        for k in range(n_thresholds)
        for b in range(10)
    ]  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


def add_sure_version(store: Store, **changes: object) -> None:
    facts = states.metadata("v1.0.0", "random", history=True, rmse=0.88)
    facts["evaluation"]["calibration"] = NUMBERS
    facts |= {"reliability": rows(), "calibration": FITTED, **changes}
    states.add_version(store, states.add_dataset(store), facts=facts)


def test_home_shows_how_sure_the_version_is(store: Store) -> None:
    add_sure_version(store)
    at = opened_page("Home.py")
    text = shown(at)
    assert "How sure it is" in text
    assert "Its probabilities are 2.1 points (of 100) off on average" in text
    assert "1.220 nats per rating" in text
    assert "93.6\u00a0%; 94.1\u00a0% expected" in text
    assert "cut points, temperature 0.92; ECE 0.021 before and 0.007 after, on 8,000" in text
    assert len(charts_of(at)) == 4
    assert all(len(chart.proto.alt) > 40 for chart in at.get("plotly_chart"))


def test_a_version_that_was_left_uncalibrated_says_why(store: Store) -> None:
    add_sure_version(store, calibration={"method": "none", "reason": "12 ratings are too few"})
    assert "none: 12 ratings are too few" in shown(opened_page("Home.py"))


@pytest.mark.parametrize("changes", [{"reliability": []}, {"reliability": None}], ids=str)
def test_a_version_without_probabilities_shows_none(store: Store, changes) -> None:
    add_sure_version(store, **changes)
    at = opened_page("Home.py")
    assert "How sure it is" not in shown(at)
    assert len(charts_of(at)) == 3


def test_the_chart_shows_every_threshold_against_the_diagonal() -> None:
    table = reliability.reliability_frame([ReliabilityBin(**row) for row in rows()])
    figure = reliability.of_one(table, 0.0213, STYLE)
    diagonal, *thresholds = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 100]
    assert [trace.name for trace in thresholds] == [f"above {k}" for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(thresholds[0].y, 100 * table["observed"][:10])
    assert {trace.marker.color for trace in thresholds} == {STYLE.colour}
    assert len({trace.marker.symbol for trace in thresholds}) == 4
    assert "largest gap of one tenth is 2.0 points" in figure.layout.meta["alt"]
    assert "2.1" in figure.layout.title.text


def test_of_many_thresholds_as_many_are_drawn_as_there_are_symbols() -> None:
    table = reliability.reliability_frame([ReliabilityBin(**row) for row in rows(9)])
    figure = reliability.of_one(table, 0.02, STYLE)
    names = [trace.name for trace in figure.data[1:]]
    assert len(names) == 7
    assert (names[0], names[-1]) == ("above 1", "above 9")
