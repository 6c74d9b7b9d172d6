"""Figures of people, movies and the map: what they say, what they draw, and that text is text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pandas as pd
import plotly.graph_objects as go
import pytest

from movierec.data.dataset import RatingScale
from movierec.inference.movie_map import MovieMap
from movierec.inference.results import Cause, Explanation
from movierec.inference.user_profile import HistoryLine, Profile
from movierec.ui.components.text import plotly_text
from movierec.ui.components.theme import NEUTRAL
from movierec.ui.recommend.explanation import score_effects
from movierec.ui.recommend.list_view import spread_strip
from movierec.ui.recommend.map import map_of_movies
from movierec.ui.recommend.movie import raters_by_group
from movierec.ui.recommend.user import over_time, tastes
from tests.support.states import NASTY

START = datetime(1997, 12, 4, 15, 55, tzinfo=UTC)
SCALE = RatingScale(1.0, 5.0, 1.0)


def line(stars: float, days: float | None, title: str = "Alien") -> HistoryLine:
    time = None if days is None else START + timedelta(days=days)
    return HistoryLine("m1", title, 1979, ("Horror",), stars, time)


def of_user(*lines: HistoryLine, table: pd.DataFrame | None = None) -> Profile:
    stars = [each.stars for each in lines]
    mean = sum(stars) / len(stars) if stars else float("nan")
    empty = pd.DataFrame(columns=["genre", "n", "share", "share_of_all", "mean", "more"])
    return Profile("u1", len(lines), mean, 3.5, {}, lines, empty if table is None else table, {})


def taste(*rows: tuple[str, int, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame([*rows], columns=["genre", "n", "share", "share_of_all", "mean", "more"])


def title(figure: go.Figure) -> str:
    return str(figure.layout.title.text)


def test_ratings_over_time_are_drawn_and_summed_up():
    figure = over_time(of_user(line(5, 2, NASTY[0]), line(2, 0.1), line(4, 0)))
    assert title(figure) == "3 ratings on 2 days, 3.67 stars on average"
    assert list(figure.data[0].y) == [5, 2, 4]
    assert figure.data[0].text[0] == plotly_text(NASTY[0])
    assert "<script>" not in figure.data[0].text[0]
    assert figure.layout.shapes[0].y0 == pytest.approx(11 / 3)
    assert figure.layout.meta["alt"].startswith("Ratings of user u1 by time. 3 ratings on 2 days")


def test_one_rating_is_one():
    assert title(over_time(of_user(line(4, 0)))) == "1 rating on one day, 4.00 stars on average"


def test_without_times_or_ratings_there_is_no_figure_of_time():
    assert over_time(of_user(line(4, None))) is None
    assert over_time(of_user()) is None


def test_very_many_ratings_are_thinned_and_counted_whole():
    figure = over_time(of_user(*(line(3, day) for day in range(3000))))
    assert len(figure.data[0].x) == 1000
    assert title(figure).startswith("3,000 ratings on 3,000 days")


def test_tastes_say_what_is_beyond_others_and_what_is_liked():
    table = taste(
        ("Drama", 40, 0.4, 0.5, 3.0, -0.5), ("Comedy", 30, 0.3, 0.1, 3.6, 0.1),
        ("$War$", 6, 0.06, 0.05, 4.5, 1.0), ("Noir", 2, 0.9, 0.0, 5.0, 1.5),
    )  # fmt: skip
    figure = tastes(of_user(table=table))
    # Noir has two ratings, which tell nothing
    assert title(figure) == plotly_text(
        "Comedy more than others (30\u00a0% of the ratings); best liked: $War$, +1.0 stars"
    )
    own, everybody = figure.data
    assert list(own.y) == ["Noir, 5.0 ★", "&#36;War&#36;, 4.5 ★", "Comedy, 3.6 ★", "Drama, 3.0 ★"]
    assert list(own.x) == pytest.approx([90, 6, 30, 40])
    assert list(everybody.x) == pytest.approx([0, 5, 10, 50])
    assert list(everybody.y) == list(own.y)
    assert "Drama 40\u00a0%, everybody 50\u00a0%" in figure.layout.meta["alt"]


def test_few_ratings_tell_no_taste_and_no_genre_no_figure():
    few = tastes(of_user(table=taste(("Drama", 4, 1.0, 0.5, 3.0, 0.0))))
    assert title(few) == "Too few ratings of any genre to tell a taste"
    assert tastes(of_user(table=taste())) is None


def test_twelve_genres_at_most_are_drawn():
    table = taste(*((f"G{i}", 30 - i, 0.1, 0.1, 3.0, 0.0) for i in range(19)))
    assert list(tastes(of_user(table=table)).data[0].y)[-1] == "G0, 3.0 ★"
    assert len(tastes(of_user(table=table)).data[0].y) == 12


def test_the_spread_is_a_strip_as_high_as_it_is_likely():
    strip = spread_strip((0.0, 0.1, 0.4, 0.3, 0.2), SCALE)
    assert [part.split("%")[0] for part in strip.split("height:")[1:]] == [
        "0", "25", "100", "75", "50",
    ]  # fmt: skip
    assert "1 ★ 0\u00a0%, 2 ★ 10\u00a0%, 3 ★ 40\u00a0%" in unescape(strip)
    assert 'role="img"' in strip
    with pytest.raises(ValueError, match="shorter"):
        spread_strip((0.5, 0.5), SCALE)


def test_a_distribution_of_nothing_is_flat():
    assert spread_strip((0.0,) * 5, SCALE).count("height:0%") == 5


def cause(name: str, stars: float, effect: float) -> Cause:
    return Cause("m1", name, None, stars, effect, None, None, (), 0)


def explained(causes: tuple[Cause, ...], against: tuple[Cause, ...] = ()) -> Explanation:
    return Explanation(
        "v1.0.0", "u1", "m9", "Brazil", 1985, (), "known", "left-out", 1.0, 4.0, 1, 9, causes,
        against, None, (), 0.1, None, "",
    )  # fmt: skip


def test_effects_are_signed_bars_the_largest_on_top():
    figure = score_effects(
        explained((cause("Alien", 5, 0.21), cause(NASTY[0], 4, 0.1)), (cause("Fargo", 1, -0.05),))
    )
    bars = figure.data[0]
    assert list(bars.x) == [-0.05, 0.1, 0.21]
    assert list(bars.text) == ["−0.05", "+0.10", "+0.21"]
    assert list(bars.y) == ["Fargo, 1 ★", plotly_text("<script>document.title='hit'</scr…, 4 ★"),
                            "Alien, 5 ★"]  # fmt: skip
    assert len(set(bars.marker.color)) == 2
    assert title(figure) == "5 ★ for Alien carries it most"
    assert figure.layout.meta["alt"].startswith(
        "5 ★ for Alien carries it most: 5 stars for Alien +0.21"
    )
    assert figure.layout.meta["alt"].endswith("1 stars for Fargo −0.05")


def test_small_effects_have_digits_that_tell_them_apart():
    figure = score_effects(explained((cause("Alien", 5, 0.0107), cause("Fargo", 4, 0.0081))))
    assert list(figure.data[0].text) == ["+0.008", "+0.011"]


def test_what_nothing_speaks_for_is_said_so():
    against = score_effects(explained((), (cause("Fargo", 1, -0.05),)))
    assert title(against) == "No rating raises its score"
    assert title(score_effects(explained(()))) == "No rating raises its score"
    zero = explained((replace(cause("Alien", 5, 0.0), effect=None),))
    assert list(score_effects(zero).data[0].text) == ["+0.00"]


def group_table(n: int) -> pd.DataFrame:
    rows = [("occupation", f"job {i}", 9, 4.5 - i / 10, 4.4 - i / 10, 4.7 - i / 10)
            for i in range(n)]  # fmt: skip
    return pd.DataFrame(rows, columns=["kind", "group", "n", "mean", "low", "high"])


def test_groups_are_means_with_their_intervals():
    table = group_table(3)
    table.loc[0, "group"], table.loc[2, "group"] = "F", NASTY[0]
    figure = raters_by_group(table, 4.25)
    dots = figure.data[0]
    assert list(dots.y) == [plotly_text(f"{NASTY[0]} (9)"), "job 1 (9)", "women (9)"]
    assert list(dots.x) == pytest.approx([4.3, 4.4, 4.5])
    assert list(dots.error_x.array) == pytest.approx([0.2] * 3)
    assert list(dots.error_x.arrayminus) == pytest.approx([0.1] * 3)
    assert title(figure) == "Who likes it most: women, 4.50 stars, everybody 4.25"
    assert figure.layout.shapes[0].x0 == 4.25
    assert "women 4.50, job 1 4.40" in figure.layout.meta["alt"]
    assert figure.layout.xaxis.title.text == "stars, 95 % interval"


def test_of_many_groups_both_ends_are_drawn_and_that_is_said():
    figure = raters_by_group(group_table(20), 4.0)
    assert list(figure.data[0].y) == [
        f"job {i} (9)" for i in (*range(19, 11, -1), *range(7, -1, -1))
    ]
    assert "16 of 20" in figure.layout.xaxis.title.text


def test_no_group_gives_no_figure():
    assert raters_by_group(group_table(0), 4.0) is None


def plane(genres: list[str]) -> MovieMap:
    n = len(genres)
    table = pd.DataFrame(
        {
            "movie_id": [f"m{i}" for i in range(n)],
            "title": [*NASTY, *(f"Movie {i}" for i in range(n))][:n],
            "year": [None] * n,
            "genre": genres,
            "ratings": range(n, 0, -1),
            "x": [float(i) for i in range(n)],
            "y": [float(-i) for i in range(n)],
        }
    )
    return MovieMap(table, 0.396, "vectors")


def test_the_map_colours_common_genres_and_marks_whose_they_are():
    genres = [g for i, g in enumerate("ABCDEFGH") for _ in range(9 - i)]
    figure = map_of_movies(plane(genres), {"m0", "m9"}, {"m3", "m999"}, NASTY[0])
    traces = {trace.name: trace for trace in figure.data}
    rated = plotly_text(f"rated by {NASTY[0]}")
    assert [*traces] == ["other", *"ABCDEF", rated, "recommended"]
    assert len(traces["other"].x) == genres.count("G") + genres.count("H")
    assert traces["other"].marker.color == NEUTRAL
    looks = {(traces[g].marker.color, traces[g].marker.symbol) for g in "ABCDEF"}
    assert len(looks) == 6
    assert not {"star"} & {symbol for _, symbol in looks}
    assert list(traces[rated].x) == [0.0, 9.0]
    assert traces["recommended"].marker.symbol == "star"
    assert [data[0] for data in traces["recommended"].customdata] == ["m3"]
    assert traces["A"].text[0] == plotly_text(NASTY[0])
    assert title(figure) == (
        "44 movies, near ones alike to the version; this plane holds 40\u00a0% of the differences"
    )


def test_every_point_of_the_map_can_be_selected_by_its_id():
    figure = map_of_movies(plane(["A", "B", "A"]))
    ids = {data[0] for trace in figure.data for data in trace.customdata}
    assert ids == {"m0", "m1", "m2"}
    assert {trace.name for trace in figure.data} == {"A", "B"}
    assert figure.layout.dragmode == "lasso"


def test_a_genre_called_other_is_one_like_the_others():
    figure = map_of_movies(plane(["other", "other", "A"]))
    assert [(trace.name, len(trace.x)) for trace in figure.data] == [("other", 2), ("A", 1)]
