"""The Recommend page's first view: one user with their profile and lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from movierec.data.dataset import Dataset
from movierec.inference import Recommendation
from movierec.inference.user_profile import HistoryLine, Profile, hard_cases, profile
from movierec.ui.components import address, cache, widgets
from movierec.ui.components.charts import REFERENCE, finish, thin
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import day, decimal, integer, literal, percent, plotly_text, signed
from movierec.ui.components.theme import NEUTRAL
from movierec.ui.recommend import choice, list_view
from movierec.ui.recommend.choice import Head, SelectedVersions

__all__ = ["over_time", "tastes", "user"]

_KEY = "user"
_LISTED = 2000  # a longer list is slow to open; any id can still be typed
_HISTORY = 12

_LEAST = 5  # ratings from which on a genre's mean is worth a sentence
_GENRES = 12  # drawn; the rest are a rating or two


def user(selected: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    chosen = _choose(selected)
    known = chosen in selected.data.users
    people = {name: version.person(chosen) for name, version in selected.versions.items()}
    facts = profile(selected.first, chosen) if known else None
    if facts is not None:
        _profile(facts)
    widgets.section("What they would get" if known else "What somebody unknown would get")
    stars = all(version.predicts_ratings for version in selected.versions.values())
    options = choice.list_options(selected.data, "u", stars=stars)
    fingerprint = selected.data.fingerprint
    thumbs = {
        each.movie_id: each.is_liked for each in cache.store().feedback.of_user(fingerprint, chosen)
    }

    def give(version: str, line: Recommendation, value: int | None) -> None:
        _give(fingerprint, chosen, version, line, value)

    context = list_view.ListContext(
        selected, f"u-{chosen}", people, facts.held_out if facts else {}, thumbs, give
    )
    found = list_view.lists(context, options)
    head(_headline(chosen, found[selected.first.name], known), _lead(facts))
    list_view.count_served(selected, ("user", chosen, str(options.request)))


def _choose(selected: SelectedVersions) -> str:
    """Offer users by id, a random one and hard cases; the one chosen is in the address."""
    data = selected.data
    offered = cache.drawn(("users", data.fingerprint), lambda: _most_active(data))
    left, middle, right = st.columns([3, 1, 1], vertical_alignment="bottom")

    def take(user: str) -> None:
        st.session_state[_KEY] = user

    def take_any() -> None:
        take(str(np.random.default_rng().choice(data.users.ids)))

    middle.button("Random user", icon=":material/casino:", on_click=take_any, width="stretch")
    with right, st.popover("Hard cases", icon=":material/psychology_alt:", width="stretch"):
        record = selected.records[selected.first.name]
        for case in cache.drawn(
            ("hard", *selected.mark(record.name)),
            lambda: hard_cases(selected.first, cache.evidence([record])[0][record.name].per_user),
        ):
            st.button(
                f"{literal(case.user_id)} · {literal(case.why)}", key=f"hard-{case.user_id}",
                on_click=take, args=(case.user_id,), type="tertiary",
            )  # fmt: skip
    with left:
        return address.select(
            "User", _KEY, offered, offered[0], accept_new_options=True,
            persist_state="session",
            help="Any id can be typed; one that is not in the data gets what a stranger gets.",
        )  # fmt: skip


def _most_active(data: Dataset) -> list[str]:
    order = np.argsort(-cache.aggregates(data).user.count, kind="stable")[:_LISTED]
    return [str(user) for user in data.users.ids[order]]


def _profile(facts: Profile) -> None:
    widgets.chips(_chips(facts))
    known = st.expander(
        f"What is known of the user: {integer(facts.n_ratings)} ratings and their tastes",
        icon=":material/person_search:", key="known", on_change="rerun", bind="query-params",
    )  # fmt: skip
    if known.open:
        with known:
            left, right = st.columns(2, gap="large")
            with left:
                _figure(over_time(facts), "over-time")
                widgets.html(_history(facts))
            with right:
                _figure(tastes(facts), "tastes")


def _chips(facts: Profile) -> dict[str, str]:
    chips = {
        "Known ratings": integer(facts.n_ratings),
        "Mean": f"{decimal(facts.mean, 2)} ★ ({_beside_average(facts)})",
        **facts.features,
    }
    times = [line.time for line in facts.history if line.time is not None]
    if times:
        chips["Rated"] = f"{day(min(times))} to {day(max(times))}"
    if facts.held_out:
        chips["Held out"] = f"{integer(len(facts.held_out))} ratings"
    return chips


def _beside_average(facts: Profile) -> str:
    gap = facts.mean - facts.mean_of_all
    return f"{decimal(abs(gap), 2)} {'above' if gap >= 0 else 'below'} average"


def _history(facts: Profile) -> str:
    rows: list[list[Cell | str]] = [
        [Cell(line.title, note=str(line.year or "")), f"{line.stars:g} ★", day(line.time)]
        for line in facts.history[:_HISTORY]
    ]
    columns = [Column("Rated, newest first"), Column("Stars", numeric=True), Column("When")]
    return html_table(f"History of user {facts.user_id}", columns, rows, wrap=True)


def _headline(user: str, lines: list[Recommendation], known: bool) -> str:
    who = f"User {user}" if known else f"{user} is not in the data and"
    if not lines:
        return f"{who} would get nothing: no movie passes the filters"
    return f"{who} would get {lines[0].title} first"


def _lead(facts: Profile | None) -> str:
    if facts is None:
        return "Somebody the data does not know gets the most popular movies."
    return (
        "Uses training ratings only. ★ = the user's hidden test rating"
        if facts.held_out
        else "Uses training ratings only."
    )


def _give(
    fingerprint: str, user: str, version: str, line: Recommendation, value: int | None
) -> None:
    """Keep a thumb, or take it back."""
    feedback = cache.store().feedback
    if value is None:
        feedback.remove(fingerprint, user, line.movie_id)
        return
    feedback.add(
        version=version, dataset=fingerprint, user_id=user, movie_id=line.movie_id,
        is_liked=bool(value), rank=line.rank, source="page",
    )  # fmt: skip


def _figure(chart: go.Figure | None, key: str) -> None:
    if chart is not None:
        widgets.figure(chart, key)


def over_time(profile: Profile) -> go.Figure | None:
    """Draw each rating by when it was given; None where the data has no times."""
    lines = [line for line in profile.history if line.time is not None]
    if not lines:
        return None
    kept = [lines[at] for at in thin(len(lines)).tolist()]
    figure = go.Figure(
        go.Scatter(
            x=[line.time for line in kept],
            y=[line.stars for line in kept],
            mode="markers",
            marker={"size": 8, "opacity": 0.55},
            text=[plotly_text(line.title) for line in kept],
            hovertemplate="%{text}<br>%{y:g} stars, %{x|%d %b %Y, %H:%M}<extra></extra>",
        )
    )
    figure.add_hline(y=profile.mean, line=REFERENCE)
    ratings = "1 rating" if len(lines) == 1 else f"{integer(len(lines))} ratings"
    title = f"{ratings} {_days(lines)}, {decimal(profile.mean, 2)} stars on average"
    figure.update_layout(showlegend=False)
    figure.update_yaxes(dtick=1)
    alt = f"Ratings of user {profile.user_id} by time. {title}."
    return finish(figure, title, alt, x="given (UTC)", y="rating (stars)")


def tastes(profile: Profile) -> go.Figure | None:
    """Draw which genres a user rated more or less than everybody; None without genres."""
    table = profile.tastes.head(_GENRES).iloc[::-1]
    if table.empty:
        return None
    names = [
        plotly_text(f"{genre}, {mean:.1f} ★")
        for genre, mean in zip(table["genre"], table["mean"], strict=True)
    ]
    figure = go.Figure(
        go.Bar(
            x=100 * table["share"],
            y=names,
            orientation="h",
            name="this user",
            customdata=np.stack([table["n"], table["mean"]], axis=1),
            hovertemplate="%{y}: %{x:.0f} % of the ratings (%{customdata[0]:.0f}), "
            "%{customdata[1]:.2f} stars<extra></extra>",
        )
    )
    figure.add_scatter(
        x=100 * table["share_of_all"],
        y=names,
        mode="markers",
        name="everybody",
        marker={"symbol": "line-ns-open", "size": 18, "color": NEUTRAL, "line": {"width": 3}},
        hovertemplate="%{y}: %{x:.0f} % of everybody's ratings<extra></extra>",
    )
    figure.update_layout(showlegend=True, bargap=0.3, height=90 + 30 * len(table))
    alt = "Share of ratings by genre: " + ", ".join(
        f"{genre} {percent(own, 0)}, everybody {percent(all_, 0)}"
        for genre, own, all_ in zip(
            table["genre"], table["share"].tolist(), table["share_of_all"].tolist(), strict=True
        )
    )
    title = _taste_title(profile)
    return finish(figure, title, alt, x="share of ratings (%)", y="").update_yaxes(title=None)


def _taste_title(profile: Profile) -> str:
    table = profile.tastes[profile.tastes["n"] >= _LEAST]
    if table.empty:
        return "Too few ratings of any genre to tell a taste"
    beyond = (table["share"] - table["share_of_all"]).to_numpy()
    most = table.iloc[int(beyond.argmax())]
    best = table.iloc[int(table["more"].to_numpy().argmax())]
    return (
        f"{most['genre']} more than others ({percent(most['share'], 0)} of the ratings); best "
        f"liked: {best['genre']}, {signed(best['more'], 1)} stars"
    )


def _days(lines: Sequence[HistoryLine]) -> str:
    days = {line.time.date() for line in lines if line.time is not None}
    return "on one day" if len(days) == 1 else f"on {integer(len(days))} days"
