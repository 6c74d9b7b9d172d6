"""The Compare page's view on single users: both lists side by side, and who gained or lost most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from movierec.comparison.lists import ListLine, UserChange, UserLists
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.sentences import delta_text
from movierec.ui.compare import charts
from movierec.ui.compare.data import LISTED, Compared, pick
from movierec.ui.components import widgets
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, integer
from movierec.ui.components.theme import VersionStyle

__all__ = ["lists"]

_KEY, _WRITTEN = "user", "user-written"
_HISTORY = 10
_BY = ("ndcg_full", "recall_full", "rmse", "mae")
_WHO = ("Gained most", "Lost most", "Everybody")


def lists(side: Compared) -> None:
    """Draw one user's lists of two versions, with history, hits and moves."""
    version = pick(side, "lists-of")
    if version is None:
        return
    if side.dataset is None:
        widgets.mute("The data set of these versions is not here, so nobody's list can be made.")
        return
    user = _choose(side, version)
    if user is None:
        return
    shown = side.user_lists(version, user)
    widgets.section(_headline(shown, version))
    widgets.chips(dict(shown.facts))
    st.page_link(
        "pages/Recommend.py", label="Why these, and other lists", icon=":material/recommend:",
        query_params={"user": user, "version": version, "beside": side.found.baseline},
    )  # fmt: skip
    figure = charts.bump(shown, side.found.baseline, version, side.styles)
    widgets.figure(figure, "bump", note="★ the user did rate it, in the held-out part.")
    history, left, right = st.columns(3, gap="medium")
    with history:
        _history(shown)
    for column, name in ((left, side.found.baseline), (right, version)):
        with column:
            _list(name, shown.lists[name], side.styles[name])


def _choose(side: Compared, version: str) -> str | None:
    """Offer the users who gained or lost most, or anybody; the one chosen is in the address."""
    left, right = st.columns(2)
    labels = {BY_KEY[key].label: key for key in _BY if side.has(key, version)}
    if not labels:
        widgets.mute("No metric was measured user by user in both versions.")
        return None
    with left:
        label = st.selectbox("Change of", list(labels), key="changed-by", bind="query-params")
        who = st.segmented_control(
            "Users who", _WHO, default=_WHO[0], required=True, key="changed-who",
            bind="query-params",
        )  # fmt: skip
    key = labels[label]
    changes = side.changes(version, key)
    with right:
        widgets.figure(side.changes_figure(version, key), "changes", height=220)
    offered = {"Everybody": changes.first, "Lost most": changes.lost}.get(who, changes.gained)
    return _user(offered, changes.by_id, key)


def _user(ids: list[str], by_id: Mapping[str, UserChange], metric: str) -> str | None:
    if not ids:
        widgets.mute("There is no such user: nobody's value changed in that direction.")
        return None
    state: Any = st.session_state
    asked = st.query_params.get(_KEY)
    if asked in by_id and asked != state.get(_WRITTEN):
        state[_KEY] = asked
    if state.get(_KEY) not in by_id:
        if state.get(_KEY) is not None:
            widgets.mute(
                f"{state[_KEY][:40]} was not measured in both versions; this is the first."
            )
        state[_KEY] = ids[0]
    hidden = [state[_KEY]] if state[_KEY] not in ids else []

    def label(user: str) -> str:
        change = by_id.get(user)
        return user if change is None else _label(change, metric)

    user: str | None = st.selectbox(
        "User", hidden + ids, key=_KEY, format_func=label,
        accept_new_options=len(by_id) > LISTED,
        help=f"{LISTED:,} are offered; any id can be typed." if len(by_id) > LISTED else None,
    )  # fmt: skip
    if user is None:
        return None
    st.query_params[_KEY] = state[_WRITTEN] = user
    return user


def _label(change: UserChange, metric: str) -> str:
    return (
        f"{change.user_id} · {delta_text(metric, change.delta)}, {change.n_train:,} known and "
        f"{change.n_test:,} held-out ratings"
    )


def _headline(shown: UserLists, version: str) -> str:
    overlap = next(each for each in shown.overlaps if each.version == version)
    hits = f"{shown.hits(version)} hits instead of {shown.hits(shown.baseline)}"
    if overlap.shared == overlap.of and overlap.rank_biased > 1 - 1e-9:
        return f"User {shown.user_id} gets the same list from both"
    return (
        f"User {shown.user_id}: {overlap.shared} of {overlap.of} movies are in both lists; "
        f"{version} has {hits}"
    )


def _history(shown: UserLists) -> None:
    title = f"What is known of the user: {integer(len(shown.history))} ratings"
    widgets.html(f'<h3 class="mr-chart-title">{title}</h3>')
    rows: list[list[Cell | str]] = [
        [Cell(_titled(line.title, line.year)), f"{line.stars:g} ★"]
        for line in shown.history[:_HISTORY]
    ]
    columns = [Column("Best rated, newest first"), Column("Stars", numeric=True)]
    widgets.html(html_table(f"History of user {shown.user_id}", columns, rows, wrap=True))


def _list(name: str, lines: Sequence[ListLine], style: VersionStyle) -> None:
    hits = sum(line.is_hit for line in lines)
    widgets.html(
        f'<h3 class="mr-chart-title"><i class="mr-swatch" style="background:{style.colour}"></i>'
        f"{name}: {hits} of {len(lines)} are hits</h3>"
    )
    rows: list[list[Cell | str]] = [
        [
            Cell(f"{line.rank}. {_titled(line.title, line.year)}", best=line.is_hit),
            decimal(line.predicted, 1),
            "" if line.stars is None else f"{line.stars:g} ★",
        ]
        for line in lines
    ]
    columns = [
        Column("Top ten"), Column("Predicted", numeric=True, hint="Stars"),
        Column("Gave", numeric=True, hint="What the user gave it, in the held-out part"),
    ]  # fmt: skip
    widgets.html(html_table(f"Top ten of {name}", columns, rows, wrap=True))


def _titled(title: str, year: int | None) -> str:
    return title if year is None else f"{title} ({year})"
