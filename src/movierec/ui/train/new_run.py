"""The New run view: the form, what it may cost, and the click that queues it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from movierec import jobs
from movierec.errors import MovierecError
from movierec.jobs.estimate import estimate
from movierec.store.records import DatasetRecord, RunRecord
from movierec.ui.components import cache, engine_form, fields, widgets
from movierec.ui.components.text import literal
from movierec.ui.train import form as train_form
from movierec.ui.train.form import Draft
from movierec.workflows import form
from movierec.workflows.command import train_command
from movierec.workflows.requests import MODELS as KNOWN

__all__ = ["fill_in", "view"]

_SHOWN_CHANGES = 8
MODELS = ("default", *(name for name in KNOWN if name != "default"))


def view(datasets: list[DatasetRecord]) -> None:
    """Draw the form beside what it may cost; queue a run when somebody clicks Train."""
    left, right = st.columns([7, 3], gap="large")
    with left:
        draft = train_form.draft(datasets, MODELS)
    with right, st.container(key="form-summary", border=True):
        _summary(draft)


def fill_in(run: RunRecord) -> None:
    """Put a run's settings into the form and open it; for a button's `on_click`."""
    request = run.request
    state: Any = st.session_state
    split = dict(request.get("split") or {})
    state["preset"], state["train-data"] = run.preset, run.dataset_name
    state["split"] = split.pop("name", "random")
    state.update({f"split_{name}": value for name, value in split.items()})
    state.update({name: request[name] for name in ("seed", "members", "refit") if name in request})
    device = str(request.get("device") or train_form.AS_SET)
    # the form offers kinds of devices, not each card
    state["device"] = device if device in train_form.DEVICES else device.partition(":")[0]
    engine_form.fill_in("train", request.get("engine") or {})
    for name, value in _values(run).items():
        key = fields.key_of(run.preset, name)
        state[key] = value.split("+") if name == "aggregator" else value
    state["view"] = "New run"


def _values(run: RunRecord) -> dict[str, Any]:
    """Return a run's hyperparameters; the preset's where another movierec took what is no more."""
    start = {each.name: each.default for each in _fields(run.preset)}
    asked = run.request.get("hyperparameters", {})
    values = {name: asked.get(name, value) for name, value in start.items()}
    wrong = form.complaints(run.preset, values)
    return {name: start[name] if name in wrong else value for name, value in values.items()}


def _fields(preset: str) -> list[form.FormField]:
    return [field for group in form.groups(preset) for field in group.fields]


def _summary(draft: Draft) -> None:
    widgets.html('<h2 class="mr-chart-title">What you are about to train</h2>')
    widgets.facts(_changes(draft))
    if draft.wrong:
        names = ", ".join(form.label(name) for name in draft.wrong)
        widgets.html(f'<p class="mr-wrong"><b>✕</b> Mend first: {names}.</p>')
    else:
        train_form.costs(estimate(cache.store(), draft.training, draft.dataset))
    current = st.checkbox(
        "Make it current when done", key="make-current", persist_state="session",
        help="Otherwise it is kept beside the current version, and can be made current later.",
    )  # fmt: skip
    label = "Train" if not draft.wrong else "Train (something is wrong)"
    if st.button(
        label, type="primary", icon=":material/play_arrow:", key="submit", width="stretch",
        disabled=bool(draft.wrong), shortcut="Ctrl+Enter",
    ):  # fmt: skip
        _submit(draft, make_current=current or None)
    if not draft.wrong:
        widgets.mute("The same from a terminal:")
        training = draft.training
        st.code(
            train_command(training, training.hyperparameters, {}), language="bash", wrap_lines=True
        )


def _changes(draft: Draft) -> dict[str, str]:
    shown = list(draft.changed.items())[:_SHOWN_CHANGES]
    facts = {"Model": draft.preset, "Data": draft.dataset.name}
    facts |= {form.label(name): f"● {value}" for name, value in shown}
    rest = len(draft.changed) - len(shown)
    if rest:
        facts["and"] = f"{rest} more changes"
    if not shown:
        facts["Changed"] = "nothing, the preset as it is"
    return facts


def _submit(draft: Draft, *, make_current: bool | None) -> None:
    try:
        run = jobs.submit_train(cache.settings(), **draft.request, make_current=make_current)
    except MovierecError as error:
        st.error(literal(f"{error.message} {error.hint or ''}"), icon=":material/error:")
        return
    st.session_state["queued-now"] = run.id
    st.session_state.pop("run-just-ended", None)
    st.rerun()
