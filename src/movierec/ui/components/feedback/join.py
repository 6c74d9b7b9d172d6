"""The form that makes a data set of thumbs and named newcomers, to train on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from movierec.data.dataset import RatingScale
from movierec.errors import MovierecError
from movierec.store.records import DatasetRecord
from movierec.ui.components import cache, flash, widgets
from movierec.ui.components.text import integer, literal
from movierec.workflows import feedback

__all__ = ["join"]

_JOINED = "joined"


def join(dataset: DatasetRecord) -> None:
    """Offer to train with what people said of a data set's lists."""
    store = cache.store()
    thumbs = store.feedback.count(dataset.fingerprint)
    profiles = len(store.profiles.list(dataset.fingerprint))
    scale = RatingScale(dataset.rating_low, dataset.rating_high, dataset.rating_step)
    up, down = feedback.thumb_stars(scale)
    widgets.section("Train with it")
    widgets.mute(
        f"A new data set: the ratings of {dataset.name}, a thumb up as {up:g} stars and one down "
        f"as {down:g}, and each named profile as a user. What a user has rated before stays as it "
        f"is, and so does {dataset.name}."
    )
    _lead_to_training()
    if not thumbs + profiles:
        widgets.mute(f"There is no thumb and no named profile for {dataset.name} yet.")
        return
    key, state = f"join-name-{dataset.id}", st.session_state
    if key not in state:
        state[key] = feedback.free_name(store, dataset.name)
    with st.form("join", border=True):
        name = st.text_input("Name of the new data set", key=key, max_chars=64)
        label = f"Join {_count(thumbs, 'thumb')} and {_count(profiles, 'profile')}"
        if st.form_submit_button(label, type="primary", icon=":material/merge:"):
            _submit(dataset, name)


def _submit(dataset: DatasetRecord, name: str) -> None:
    try:
        with st.spinner("Joining …"):
            found = feedback.join_feedback(cache.settings(), dataset.name, name)
    except MovierecError as error:
        st.error(literal(f"{error.message} {error.hint or ''}"), icon=":material/error:")
        return
    record = found.imported.record
    st.session_state[_JOINED] = record.name
    if found.imported.already_there:
        flash.leave(f"The same data is here already, as {record.name}.")
    new = feedback.free_name(cache.store(), dataset.name)
    flash.leave(
        f"{record.name} is here: {_count(found.thumbs, 'thumb')} and "
        f"{_count(found.profile_ratings, 'rating')} of profiles joined.",
        **{f"join-name-{dataset.id}": new},
    )


def _lead_to_training() -> None:
    """Lead on to the Train form with the data set that was made last, while it is there."""
    state: Any = st.session_state
    made = state.get(_JOINED)
    known = {record.name: record for record in cache.store().datasets.list()}
    if made not in known:
        return
    record = known[made]
    with st.container(border=True, key="joined-now"):
        widgets.html('<p class="mr-step">It is joined; a version trained on it knows it</p>')
        widgets.mute(
            f"{made} has {integer(record.n_ratings)} ratings by {integer(record.n_users)} users; "
            "its report on the Data page says what was left out, and why."
        )
        st.page_link(
            "pages/Train.py", label=literal(f"Train on {made}"), icon=":material/model_training:",
            query_params={"train-data": made, "view": "New run"},
        )  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{integer(number)} {noun}{'s' * (number != 1)}"
