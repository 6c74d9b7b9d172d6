"""One user's lists side by side, and how many users gained or lost."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest

from movierec.comparison.lists import ListLine, Move, UserChange, UserLists
from movierec.ui.compare.list_charts import bump, changes
from movierec.ui.components.theme import NEUTRAL
from tests.support.comparisons import STYLES

A, B = "v1.0.0", "v1.1.0"
TITLES = {
    "m1": "Alien", "m2": "<b>Brazil</b>", "m3": "A title that is far too long for a line",
    "m4": "$x$", "m5": "Fargo",
}  # fmt: skip


def line(rank: int, movie: str, stars: float | None = None) -> ListLine:
    return ListLine(rank, movie, TITLES[movie], 1985, ("Drama",), 4.2, stars)


def lists(a: list[str], b: list[str], k: int = 3, known: str = "") -> UserLists:
    """Lists of movies, of which m1 and m5 are hits; below the list each is eleventh."""

    def rank(movie: str, among: list[str], *, is_new: bool) -> int | None:
        if movie in among:
            return among.index(movie) + 1
        return None if movie == known and is_new else 1111

    def lines(movies: list[str]) -> tuple[ListLine, ...]:
        return tuple(
            line(i, m, 5.0 if m in ("m1", "m5") else None) for i, m in enumerate(movies, 1)
        )

    moves = tuple(
        Move(m, TITLES[m], 1985, m in ("m1", "m5"),
             {A: rank(m, a, is_new=False), B: rank(m, b, is_new=True)})
        for m in dict.fromkeys([*a, *b])
    )  # fmt: skip
    return UserLists("u1", k, A, {}, (), {A: lines(a), B: lines(b)}, (), moves)


def drawn(figure: go.Figure) -> list[go.Scatter]:
    """The lines of movies, without those of the legend."""
    return [t for t in figure.data if t.mode == "lines" and t.x[0] is not None]


def texts(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_movies_in_both_lists_are_joined_and_the_others_end() -> None:
    figure = bump(lists(["m1", "m2", "m3"], ["m3", "m1", "m4"]), A, B, STYLES)
    ends = {(tuple(t.x), tuple(t.y)): t.line for t in drawn(figure)}
    assert ends[(0, 1), (1, 2)].dash == "dash"  # m1 goes down
    up = ends[(0, 1), (3, 1)]
    assert (up.color, up.dash) == (STYLES[B].colour, None)
    assert ends[(0, 0.1), (2, 2)].dash == "dot"  # m2 leaves
    assert ends[(1, 0.9), (3, 3)].dash == "dot"  # m4 comes in
    assert texts(figure).count("1,111") == 2
    assert list(figure.layout.yaxis.range) == [3.6, -0.4]  # the first rank is on top


def test_hits_have_a_star_and_are_counted() -> None:
    figure = bump(lists(["m1", "m2", "m3"], ["m2", "m3", "m4"]), A, B, STYLES)
    stars = [t for t in figure.data if t.marker.symbol == "star" and t.x[0] is not None]
    assert [(t.x[0], t.y[0], t.name) for t in stars] == [(0, 1, "held-out hit")]
    assert "the user gave 5" in stars[0].customdata[0]
    assert figure.layout.title.text == (
        f"0 of 3 in the list of {B} are held-out hits, 1 of 3 in that of {A}; 2 are in both"
    )
    assert "1 Alien (hit)" in figure.layout.meta["alt"]


def test_a_movie_that_the_other_version_knows_is_said_to_be_known() -> None:
    figure = bump(lists(["m1", "m2", "m3"], ["m2", "m3", "m4"], known="m1"), A, B, STYLES)
    assert "known" in texts(figure)


def test_titles_are_text_and_cut() -> None:
    figure = bump(lists(["m2", "m3", "m4"], ["m5", "m1", "m4"]), A, B, STYLES)
    labels = [text for trace in figure.data if trace.text for text in trace.text]
    told = [text for trace in figure.data if trace.customdata is not None
            for text in trace.customdata]  # fmt: skip
    everything = " ".join([*labels, *told])
    assert "1 <b>Brazil</b>, 2" in figure.layout.meta["alt"]  # which is no HTML
    assert "<b>" not in everything
    assert "$" not in everything
    assert any("A title that is far…" in label for label in labels)
    assert any("A title that is far too long for a line" in text for text in told)


def test_the_same_list_twice_and_no_list() -> None:
    figure = bump(lists(["m1", "m2"], ["m1", "m2"]), A, B, STYLES)
    assert all(list(t.y) in ([1, 1], [2, 2]) for t in drawn(figure))
    assert all(t.line.color == NEUTRAL and t.line.dash is None for t in drawn(figure))
    empty = bump(lists([], []), A, B, STYLES)
    assert drawn(empty) == []
    assert json.loads(empty.to_json())


def change(delta: float, user: int = 0, *, lower: bool = False) -> UserChange:
    gain = -delta if lower else delta
    return UserChange(f"u{user}", user, 10, 5, 0.5, 0.5 + delta, delta, gain)


def test_changes_count_who_gained_and_who_lost() -> None:
    found = [change(d) for d in (0.2, 0.1, 0.1, 0.0, -0.41)]
    figure = changes(found, "ndcg_full", A, B, STYLES)
    counts = {bar.name: sum(bar.y) for bar in figure.data}
    assert counts == {"lost (1)": 1, "as before (1)": 1, "gained (3)": 3}
    assert figure.layout.title.text == (
        f"NDCG@10 full is better with {B} for 3 of 5 users and worse for 1"
    )
    lost = figure.data[0]
    assert lost.marker.pattern.shape == "/"  # not by its colour alone
    assert lost.x[0] == pytest.approx(-0.41, abs=0.01)


def test_changes_of_an_error_gain_to_the_left() -> None:
    figure = changes([change(-0.1, lower=True)], "rmse", A, B, STYLES)
    assert [bar.name for bar in figure.data] == ["gained (1)"]
    assert figure.data[0].x[0] < 0
    assert figure.layout.xaxis.title.text == "change of a user's RMSE (stars), left is better"


@pytest.mark.parametrize("found", [[], [change(0.0)], [change(0.0), change(0.0)]])
def test_changes_of_nobody_or_of_nothing(found: list[UserChange]) -> None:
    figure = changes(found, "ndcg_full", A, B, STYLES)
    assert sum(sum(bar.y) for bar in figure.data) == len(found)
    assert "nan" not in figure.layout.title.text
