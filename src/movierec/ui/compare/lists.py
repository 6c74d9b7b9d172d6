"""The Compare page's view on single users: both lists side by side, and who gained or lost most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from movierec.comparison.lists import ListLine, UserChange, UserLists
from movierec.comparison.metrics import BY_KEY
from movierec.comparison.sentences import delta_text
from movierec.ui.compare import list_charts
from movierec.ui.compare.data import LISTED, Compared, pick
from movierec.ui.components import address, shell, widgets
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, hits, integer
from movierec.ui.components.theme import VersionStyle

__all__ = ["lists"]

_KEY = "user"
_HISTORY = 10
_BY = ("ndcg_full", "recall_full", "rmse", "mae")
_WHO = ("Gained most", "Lost most", "Everybody")


def lists(compared: Compared) -> None:
    """Draw one user's lists of two versions, with history, hits and moves."""
    version = pick(compared, "lists-of")
    if version is None:
        return
    if compared.dataset is None:
        widgets.mute("The data set of these versions is not here, so nobody's list can be made.")
        return
    user = _choose(compared, version)
    if user is None:
        return
    shown = compared.user_lists(version, user)
    widgets.section(_headline(shown, version))
    widgets.chips(dict(shown.facts))
    shell.link(
        "Recommend",
        "Why these, and other lists",
        {"user": user, "version": version, "beside": compared.found.baseline},
    )
    figure = list_charts.bump(shown, compared.found.baseline, version, compared.styles)
    widgets.figure(figure, "bump", note="★ the user did rate it, in the held-out part.")
    history, left, right = st.columns(3, gap="medium")
    with history:
        _history(shown)
    for column, name in ((left, compared.found.baseline), (right, version)):
        with column:
            _list(name, shown.lists[name], compared.styles[name], compared.dataset.rating_high)


def _choose(compared: Compared, version: str) -> str | None:
    """Offer the users who gained or lost most, or anybody; the one chosen is in the address."""
    left, right = st.columns(2)
    labels = {BY_KEY[key].label: key for key in _BY if compared.has(key, version)}
    if not labels:
        widgets.mute("No metric was measured user by user in both versions.")
        return None
    with left:
        label = st.selectbox("Change of", list(labels), key="changed-by", bind="query-params")
        who = widgets.switch("Users who", _WHO, "changed-who")
    key = labels[label]
    changes = compared.changes(version, key)
    with right:
        widgets.figure(compared.changes_figure(version, key), "changes", height=220)
    offered = {"Everybody": changes.first, "Lost most": changes.lost}.get(who, changes.gained)
    return _user(offered, changes.by_id, key)


def _user(ids: list[str], by_id: Mapping[str, UserChange], metric: str) -> str | None:
    if not ids:
        widgets.mute("There is no such user: nobody's value changed in that direction.")
        return None
    kept = st.session_state.get(_KEY)
    if kept is not None and kept not in by_id:
        widgets.mute(f"{kept[:40]} was not measured in both versions; this is the first.")

    def label(user: str) -> str:
        change = by_id.get(user)
        return user if change is None else _label(change, metric)

    return address.select(
        "User", _KEY, ids, ids[0], known=by_id, named=label,
        accept_new_options=len(by_id) > LISTED,
        help=f"{LISTED:,} are offered; any id can be typed." if len(by_id) > LISTED else None,
    )  # fmt: skip


def _label(change: UserChange, metric: str) -> str:
    return (
        f"{change.user_id} · {delta_text(metric, change.delta)}, {change.n_train:,} known and "
        f"{change.n_test:,} held-out ratings"
    )


def _headline(shown: UserLists, version: str) -> str:
    overlap = next(each for each in shown.overlaps if each.version == version)
    found = f"{shown.hits(version)} hits instead of {shown.hits(shown.baseline)}"
    if overlap.shared == overlap.of and overlap.rank_biased > 1 - 1e-9:
        return f"User {shown.user_id} gets the same list from both"
    return (
        f"User {shown.user_id}: {overlap.shared} of {overlap.of} movies are in both lists; "
        f"{version} has {found}"
    )


def _history(shown: UserLists) -> None:
    title = f"What is known of the user: {integer(len(shown.history))} ratings"
    widgets.chart_title(title)
    rows: list[list[Cell | str]] = [
        [Cell(_titled(line.title, line.year)), f"{line.stars:g} ★"]
        for line in shown.history[:_HISTORY]
    ]
    columns = [Column("Best rated, newest first"), Column("Stars", numeric=True)]
    widgets.html(html_table(f"History of user {shown.user_id}", columns, rows, wrap=True))


def _list(name: str, lines: Sequence[ListLine], style: VersionStyle, highest: float) -> None:
    given = [line.stars for line in lines if line.stars is not None]
    widgets.version_title(f"{name}: {hits(given, len(lines), highest)}", style)
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
