from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from movierec.metadata import EpochSummary
from movierec.ui.components import ratings
from movierec.ui.components.theme import version_style
from movierec.ui.components.versions import curves, leaderboard
from tests.support.states import epochs, nasty_dataset

STYLE = version_style("v1.0.0", ["v1.0.0"])
DATA = nasty_dataset()
RUNGS = pd.DataFrame(
    [("v1", 0.92, "version"), ("averages", 0.94, "baseline"), ("random", np.nan, "baseline"),
     ("<b>$x$</b>", 0.88, "published")],
    columns=["system", "value", "kind"],
)  # fmt: skip


def all_charts() -> dict[str, Callable[[], go.Figure]]:
    history, shares = curves.history_frame(epochs()), ratings.level_shares(DATA)
    months = ratings.by_month(DATA)
    assert months is not None
    counts = DATA.by_user.counts
    return {
        "levels": lambda: ratings.rating_distribution(shares, shares, of="its ratings"),
        "months": lambda: ratings.ratings_over_time(months),
        "share": lambda: ratings.concentration(counts, noun="users", most="most active"),
        **{
            name: (lambda name=name: curves.learning_curve(history, name, STYLE))
            for name in curves.CURVES
        },
        "ladder": lambda: leaderboard.ladder(RUNGS, STYLE, axis="RMSE (stars)"),
    }


@pytest.fixture(params=list(all_charts()))
def figure(request: pytest.FixtureRequest) -> go.Figure:
    return all_charts()[request.param]()


def test_every_chart_says_its_message_and_names_its_axes(figure: go.Figure) -> None:
    assert any(character.isdigit() for character in figure.layout.title.text)
    assert figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text or figure.layout.yaxis.categoryarray
    assert len(figure.layout.meta["alt"]) > 40


def test_no_colour_is_used_twice_without_another_sign(figure: go.Figure) -> None:
    def signs(trace: go.Scatter) -> tuple[object, ...]:
        line = getattr(trace, "line", None)
        marker = trace.marker
        return (
            (line.color if line else None) or marker.color,
            line.dash if line else None,
            getattr(marker, "symbol", None),
        )

    seen = [signs(trace) for trace in figure.data]
    assert len(set(seen)) == len(seen)


def test_the_kept_epoch_is_the_last_best_one() -> None:
    figure = curves.learning_curve(curves.history_frame(epochs(20, best=14)))
    mark = figure.data[-1]
    assert list(mark.x) == [14]
    assert mark.y[0] == pytest.approx(epochs()[13].val_rmse)
    assert "epoch 14 of 20" in figure.layout.title.text
    assert "0.90" in figure.layout.title.text


def test_history_of_mappings_with_gaps_is_read() -> None:
    rows = [EpochSummary(**vars(e) | {"val_ndcg_10": None}) for e in epochs(3)]
    history = curves.history_frame(rows[::-1])
    assert list(history["epoch"]) == [1, 2, 3]
    assert history["val_ndcg_10"].isna().all()


def test_only_measured_curves_are_offered() -> None:
    rows = [EpochSummary(**vars(e) | {"val_rmse": None}) for e in epochs(3)]
    assert curves.measured(curves.history_frame(rows)) == ["NDCG@10", "Loss"]
    assert curves.measured(curves.history_frame([])) == []


def test_without_a_best_epoch_the_lowest_loss_is_marked() -> None:
    rows = [EpochSummary(**vars(e) | {"is_best": False}) for e in epochs(20, best=14)]
    history = curves.history_frame(rows)
    assert curves.learning_curve(history).data[-1].x[0] == history["val_loss"].argmin() + 1
    assert curves.learning_curve(history.assign(val_loss=np.nan)).data[-1].x[0] == 1


def test_long_curves_are_thinned_but_keep_both_ends() -> None:
    history = curves.history_frame(epochs(5000, best=4999))
    line = curves.learning_curve(history).data[0]
    assert len(line.x) == 1000
    assert (line.x[0], line.x[-1]) == (1, 5000)


def test_share_held_by_the_top() -> None:
    counts = np.array([1] * 9 + [91])
    assert ratings.share_held_by_top(counts, 0.1) == pytest.approx(0.91)
    assert ratings.share_held_by_top(np.zeros(3, np.int64), 0.5) == 0
    figure = ratings.concentration(counts, noun="movies", most="most rated")
    assert figure.layout.title.text.startswith("The most rated 10\u00a0% of movies hold 91\u00a0%")


def test_ladder_puts_the_best_on_top_and_leaves_out_the_unmeasured() -> None:
    figure = leaderboard.ladder(RUNGS, STYLE, axis="RMSE (stars)")
    escaped = "&lt;b&gt;&#36;x&#36;&lt;/b&gt;"
    assert list(figure.layout.yaxis.categoryarray) == ["averages", "v1", escaped]
    assert "0.020 better than the best simple baseline, averages" in figure.layout.title.text
    higher = leaderboard.ladder(RUNGS, STYLE, axis="NDCG", lower_is_better=False)
    assert "0.020 behind the best simple baseline, averages" in higher.layout.title.text


def test_titles_from_baselines_survive_only_baselines() -> None:
    only = RUNGS.loc[RUNGS["kind"] == "baseline"]
    assert (
        "not measured for this version"
        in leaderboard.ladder(only, STYLE, axis="RMSE").layout.title.text
    )


def test_metrics_point_into_the_evaluation() -> None:
    assert len({metric.path for metric in leaderboard.METRICS}) == len(leaderboard.METRICS)
