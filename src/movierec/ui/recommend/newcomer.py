"""The Recommend page's newcomer: rate a handful of movies and see the lists change at once."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.inference.newcomers import can_answer
from movierec.ui.components import address, cache, flash, shell, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.text import integer, literal, spoken
from movierec.ui.recommend import choice, list_view
from movierec.ui.recommend.choice import Head, SelectedVersions

__all__ = ["newcomer"]

_RATINGS, _NAME = "rated", "profile-name"
_HITS = 6
_MOST = 200  # ratings of a newcomer in an address

Ratings = dict[str, float]


def newcomer(selected: SelectedVersions, head: Head) -> None:
    """Draw the view."""
    ratings = _ratings(selected.data)
    _say(selected, head, ratings)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _search(selected.data, ratings)
        _rated(selected.data, ratings)
        features = _features(selected.data)
        _profiles(selected.data, ratings, features)
    _write(ratings)
    with right:
        _lists(selected, ratings, features)


def _say(selected: SelectedVersions, head: Head, ratings: Ratings) -> None:
    lost = [name for name, version in selected.versions.items() if not can_answer(version)]
    count = "one rating" if len(ratings) == 1 else f"{len(ratings)} ratings"
    title = f"What somebody with {count} would get" if ratings else "New user: rate a few movies"
    head(
        title,
        "No training: the version reads the ratings as it reads those of its users, and answers in "
        "milliseconds.",
    )
    if lost:
        widgets.mute(
            f"{' and '.join(lost)} must be trained again to know somebody new: it shows the most "
            "popular movies."
        )


def _lists(selected: SelectedVersions, ratings: Ratings, features: Mapping[str, Any]) -> None:
    stars = all(version.predicts_ratings for version in selected.versions.values())
    options = choice.list_options(selected.data, "n", stars=stars, seen=False)
    people = {name: v.newcomer(ratings, features) for name, v in selected.versions.items()}
    context = list_view.ListContext(selected, "newcomer", people)
    list_view.lists(context, options, wide=False)
    list_view.count_served(
        selected, ("newcomer", str(ratings), str(features), str(options.request))
    )


def _ratings(data: Dataset) -> Ratings:
    """Return the ratings as the address or this session has them."""
    state: Any = st.session_state
    asked = address.asked(_RATINGS)
    if asked:
        state[_RATINGS] = _read(asked[0], data)
    held: Ratings = state.get(_RATINGS, {})
    return {movie: stars for movie, stars in held.items() if movie in data.movies}


def _read(text: str, data: Dataset) -> Ratings:
    """Return ratings written as 50:5,181:4; those of other data are left out."""
    found: Ratings = {}
    for part in text.split(",")[:_MOST]:
        movie, _, stars = part.rpartition(":")
        level = _level(stars, data)
        if movie in data.movies and level is not None:
            found[movie] = level
    return found


def _level(text: str, data: Dataset) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    levels = data.scale.levels
    return float(value) if np.isclose(levels, value).any() else None


def _write(ratings: Ratings) -> None:
    st.session_state[_RATINGS] = ratings
    text = ",".join(f"{movie}:{stars:g}" for movie, stars in ratings.items())
    address.write(_RATINGS, *[text] * bool(text))


def _search(data: Dataset, ratings: Ratings) -> None:
    text = st.text_input(
        "Search a movie to rate", type="search", live=True, placeholder="Alien, or 1979", key="nq"
    )
    hits = [
        hit for hit in cache.movie_search(data).find(text or "", _HITS + len(ratings))
        if hit.movie_id not in ratings
    ][:_HITS]  # fmt: skip
    if not hits:
        widgets.mute("No title fits that is not rated yet.")
    with st.container(horizontal=True, gap="small", key="hits"):
        for hit in hits:
            year = "" if hit.year is None else f" ({hit.year})"
            st.button(
                literal(f"{hit.title}{year}"), key=f"add-{hit.movie_id}", icon=":material/add:",
                on_click=_set, args=(hit.movie_id, float(data.scale.levels[-1])),
            )  # fmt: skip


def _set(movie_id: str, stars: float | None) -> None:
    """Rate a movie, or take the rating back."""
    state: Any = st.session_state
    held = {k: v for k, v in state.get(_RATINGS, {}).items() if k != movie_id}
    state[_RATINGS] = held if stars is None else {**held, movie_id: stars}


def _rated(data: Dataset, ratings: Ratings) -> None:
    if not ratings:
        widgets.mute("Nothing is rated yet. The list is what anybody would get.")
        return
    levels = [float(level) for level in data.scale.levels]
    search = cache.movie_search(data)
    for movie_id, stars in list(ratings.items()):
        hit = search.hit(data.movies.index(movie_id))
        key = f"stars-{movie_id}"
        st.session_state[key] = min(levels, key=lambda level: abs(level - stars))
        year = "" if hit.year is None else f" ({hit.year})"
        widgets.html(f'<p class="mr-name mr-rated">{escape(hit.title + year)}</p>')
        with st.container(
            horizontal=True, vertical_alignment="center", key=f"rated-{movie_id}",
            horizontal_alignment="distribute",
        ):  # fmt: skip
            st.segmented_control(
                f"Stars for {spoken(hit.title)}", levels, key=key, required=True,
                label_visibility="collapsed", format_func=lambda level: f"{level:g}",
                on_change=_take, args=(movie_id, key),
            )  # fmt: skip
            st.button(
                "Remove", key=f"remove-{movie_id}", icon=":material/close:", type="tertiary",
                help=f"Remove {literal(hit.title)}", on_click=_set, args=(movie_id, None),
            )  # fmt: skip


def _take(movie_id: str, key: str) -> None:
    _set(movie_id, float(st.session_state[key]))


def _features(data: Dataset) -> dict[str, Any]:
    frame = data.user_frame
    offered = [c for c in (Columns.AGE, Columns.GENDER, Columns.OCCUPATION) if c in frame]
    if not offered:
        return {}
    features: dict[str, Any] = {}
    with st.expander("Age, gender, occupation (optional)", icon=":material/badge:", key="features"):
        for column in offered:
            if column == Columns.AGE:
                features[column] = st.number_input(
                    "Age (years)", 1, 120, None, placeholder="Unknown", **bound("age")
                )
            else:
                known = sorted(frame[column].dropna().astype(str).unique())
                features[column] = st.selectbox(
                    column.capitalize(), known, index=None, placeholder="Unknown",
                    **bound(column),
                )  # fmt: skip
    return {name: value for name, value in features.items() if value is not None}


def _profiles(data: Dataset, ratings: Ratings, features: Mapping[str, Any]) -> None:
    """Save the newcomer under a name, load one, or start over."""
    store = cache.store().profiles
    kept = {profile.name: profile for profile in store.list(data.fingerprint)}
    with st.expander(f"Named profiles ({integer(len(kept))})", icon=":material/group:", key="kept"):
        with st.form("keep", border=False):
            name = st.text_input("Name of the profile", key=_NAME, max_chars=80)
            if st.form_submit_button("Keep", icon=":material/save:"):
                _save(data, name, ratings, features)
        for profile in kept.values():
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    literal(f"{profile.name}: {len(profile.ratings)} ratings"),
                    key=f"load-{profile.id}", icon=":material/person:", on_click=_load,
                    args=(dict(profile.ratings), dict(profile.features)),
                )  # fmt: skip
                if st.button("Delete", key=f"forget-{profile.id}", type="tertiary",
                             help=f"Delete {literal(profile.name)}"):  # fmt: skip
                    store.delete(profile.name, data.fingerprint)
                    flash.leave(f"{profile.name} is deleted.")
    if ratings:
        st.button("Start over", icon=":material/restart_alt:", on_click=_load, args=({}, {}))


def _save(data: Dataset, name: str, ratings: Ratings, features: Mapping[str, Any]) -> None:
    if not ratings:
        widgets.mute("Rate a movie first: there is nothing to keep.")
        return
    with shell.errors_in_words():
        cache.store().profiles.save(name, data.fingerprint, ratings, features)
        flash.leave(f"{name} is kept.")


def _load(ratings: Ratings, features: Mapping[str, Any]) -> None:
    state: Any = st.session_state
    state[_RATINGS] = ratings
    for name in (Columns.AGE, Columns.GENDER, Columns.OCCUPATION):
        state[name] = features.get(name)
