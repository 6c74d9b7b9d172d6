"""The figures of a sweep."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from movierec.ui.sweeps import results
from tests.support.sweep_records import record_of, trial

SEARCH = {
    "learning_rate": "0.001..0.1:log", "dropout": "0..0.5", "aggregator": "mean,max",
    "feature_bands": "false,true",
}  # fmt: skip


def params(rate: float, dropout: float, aggregator: str = "mean", bands: bool = False):
    return {
        "learning_rate": rate, "dropout": dropout, "aggregator": aggregator, "feature_bands": bands,
    }  # fmt: skip


TRIALS = (
    trial(0, 0.95, params(0.001, 0.2)),
    trial(1, 0.99, params(0.1, 0.0, "max"), state="pruned"),
    trial(2, 0.91, params(0.01, 0.4, "max", True)),
    trial(3, 0.93, params(0.1, 0.0)),
    trial(4, None, params(0.01, 0.1), state="running"),
    trial(5, None, {}, state="stopped"),
    trial(6, 0.5, params(0.01, 0.1), state="failed"),
)


@pytest.fixture
def frame() -> pd.DataFrame:
    return results.trials_frame(record_of(TRIALS, SEARCH))


def test_the_frame_has_the_measured_trials_in_their_order(frame):
    assert frame["number"].tolist() == [0, 1, 2, 3]
    assert frame["state"].tolist() == ["done", "pruned", "done", "done"]
    assert frame.columns.tolist() == ["number", "state", "value", *SEARCH]
    empty = results.trials_frame(record_of((), SEARCH))
    assert empty.columns.tolist() == frame.columns.tolist()
    assert len(empty) == 0


def test_the_history_steps_down_to_the_best_done_trial(frame):
    figure = results.history(frame, "val_rmse", lower_is_better=True)
    done, pruned, steps, ring = figure.data
    assert [*done.x] == [0, 2, 3]
    assert [*pruned.x] == [1]
    assert (done.marker.symbol, pruned.marker.symbol) == ("circle", "x")
    assert [*steps.x] == [0, 2, 3, 3]
    assert [*steps.y] == [0.95, 0.91, 0.91, 0.91]
    assert (ring.x[0], ring.y[0]) == (2, 0.91)
    assert figure.layout.title.text == "RMSE went from 0.9500 to 0.9100, best in trial 2 of 4"
    assert figure.layout.yaxis.title.text == "validation RMSE (stars)"
    assert figure.layout.meta["alt"].startswith("validation RMSE (stars) of 4 trials")


def test_the_history_of_what_should_be_high_steps_up(frame):
    figure = results.history(frame, "val_ndcg_10", lower_is_better=False)
    assert [*figure.data[2].y] == [0.95, 0.95, 0.95, 0.95]
    assert "NDCG@10 0.9500 in trial 0 of 4: the first one is the best so far" in (
        figure.layout.title.text
    )


def lines_of(trace) -> list[list[float]]:
    ys = np.array(trace.y, dtype=float).reshape(-1, len(SEARCH) + 2)
    assert np.isnan(ys[:, -1]).all()  # a gap after each
    return ys[:, :-1].tolist()


def test_parallel_lines_go_through_their_values_the_best_on_top(frame):
    figure = results.parallel(frame, SEARCH, "val_rmse", lower_is_better=True)
    *others, best = figure.data
    # 0.01 is half way from 0.001 to 0.1 by factors; max is below mean, false below true
    assert [*best.y] == pytest.approx([0.5, 1.0, 0.25, 0.75, 1.0])
    drawn = [line for trace in others for line in lines_of(trace)]
    assert drawn[0] == pytest.approx([0.0, 0.5, 0.75, 0.25, 0.0])
    assert drawn[1] == pytest.approx([1.0, 0.0, 0.75, 0.25, 0.5])
    strength = [trace.opacity for trace in others]
    assert strength == sorted(strength)
    assert best.line.width > others[0].line.width
    assert best.marker.symbol == "diamond"
    assert [*figure.layout.xaxis.ticktext] == [
        "learning_rate (log)", "dropout", "aggregator", "feature_bands", "RMSE, best on top",
    ]  # fmt: skip
    said = {(note.x, round(note.y, 2)): note.text for note in figure.layout.annotations}
    assert (said[0, 0.0], said[0, 1.0]) == ("0.001", "0.1")
    assert (said[2, 0.25], said[3, 0.75]) == ("max", "True")
    assert (said[4, 1.0], said[4, 0.0]) == ("0.91", "0.95")
    assert len(figure.layout.shapes) == 5
    assert "trial, 2: learning_rate 0.01, dropout 0.4, aggregator max" in figure.layout.title.text


def test_the_value_axis_of_what_should_be_high_is_not_turned(frame):
    figure = results.parallel(frame, SEARCH, "val_ndcg_10", lower_is_better=False)
    assert figure.data[-1].y[-1] == 1.0
    said = {(note.x, note.y): note.text for note in figure.layout.annotations}
    assert (said[4, 1.0], said[4, 0.0]) == ("0.95", "0.91")


def test_values_that_do_not_differ_are_in_the_middle():
    same = (trial(0, 0.9, params(0.01, 0.1)), trial(1, 0.9, params(0.01, 0.1)))
    frame = results.trials_frame(record_of(same, SEARCH))
    figure = results.parallel(frame, SEARCH, "val_rmse", lower_is_better=True)
    assert [*figure.data[-1].y] == [0.5] * 5


def test_words_of_choices_are_shown_as_text():
    odd = (trial(0, 0.9, {"a": "<b>x</b>"}), trial(1, 0.8, {"a": "$y$"}))
    frame = results.trials_frame(record_of(odd, {"a": "x,y"}))
    figure = results.parallel(frame, {"a": "x,y"}, "val_rmse", lower_is_better=True)
    texts = " ".join(note.text for note in figure.layout.annotations) + figure.layout.title.text
    assert "<b>" not in texts
    assert "$" not in texts


def test_what_mattered_most_is_on_top():
    shares = {"dropout": 0.25, "learning_rate": 0.7, "aggregator": 0.05}
    figure = results.importance(shares, "val_rmse", 12)
    (bars,) = figure.data
    assert [*bars.y] == ["aggregator", "dropout", "learning_rate"]  # the last one is on top
    assert [*bars.x] == pytest.approx([5, 25, 70])
    assert figure.layout.title.text.startswith("learning_rate mattered most: 70")
    assert figure.layout.xaxis.title.text == "share of the variance of RMSE (%)"
    assert "12 finished trials" in figure.layout.meta["alt"]
