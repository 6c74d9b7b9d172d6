"""The New run view: the form, what it may cost, and the button that queues it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from movierec import jobs
from movierec.errors import MovierecError
from movierec.jobs.estimate import Estimate, estimate
from movierec.models.graphsage.hyperparameters import PRESETS
from movierec.store.records import DatasetRecord, RunRecord
from movierec.ui.components import cache, forms, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.text import NOT_MEASURED, duration, integer, literal
from movierec.workflows import form
from movierec.workflows.command import train_command
from movierec.workflows.requests import MODELS as KNOWN
from movierec.workflows.requests import MOST_MEMBERS, TrainRequest

__all__ = ["Draft", "fill_in", "view"]

_SHOWN_CHANGES = 8
MODELS = ("default", *(name for name in KNOWN if name != "default"))

AS_SET = "default"  # MOVIEREC_DEVICE decides
DEVICES = (AS_SET, "auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Draft:
    """The content of the form. `wrong` holds complaints by field; it can be queued if empty."""

    preset: str
    dataset: DatasetRecord
    request: Mapping[str, Any]
    changed: Mapping[str, Any] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def training(self) -> TrainRequest:
        """The request as the worker will get it; only where nothing is wrong."""
        return TrainRequest.of(**self.request)


def view(datasets: list[DatasetRecord]) -> None:
    """Draw the form beside what it may cost; queue a run when somebody clicks Train."""
    left, right = st.columns([7, 3], gap="large")
    with left:
        draft = _form(datasets)
    with right, st.container(key="form-summary", border=True):
        _summary(draft)


def _form(datasets: Sequence[DatasetRecord]) -> Draft:
    """Draw the form and return its content."""
    slots: dict[str, Any] = {}
    preset, data = _model_and_data(datasets)
    with st.container(border=True, key="form-data"):
        split, split_wrong = forms.choose_split(
            "Split", data, slots, prefix="split", **bound("split"),
            help="How the ratings are divided into train, validation and test part. Two versions "
            "compare only on the same split.",
        )  # fmt: skip
    groups = form.groups(preset)
    values = _hyperparameters(preset, groups, slots)
    extra = _training_options(preset)
    wrong = {**form.complaints(preset, values), **split_wrong}
    if preset in PRESETS:
        extra["engine"], refused = forms.choose_engine("train", "share the users of one training")
        wrong |= refused
    changed = form.changes(preset, values)
    _annotate(preset, values, changed, wrong, slots)
    request = {"preset": preset, "dataset": data.name, "split": split, **extra}
    return Draft(preset, data, {**request, "hyperparameters": changed}, changed, wrong)


def _model_and_data(datasets: Sequence[DatasetRecord]) -> tuple[str, DatasetRecord]:
    left, right = st.columns([3, 2])
    preset = left.selectbox(
        "Model", MODELS, key="preset", bind="query-params", persist_state="session",
        help="A preset of GraphSAGE, or a baseline to stand beside it.",
    )  # fmt: skip
    by_name = {record.name: record for record in datasets}
    name = right.selectbox(
        "Data set", list(by_name), key="train-data", bind="query-params", persist_state="session"
    )
    widgets.mute(form.describe(preset))
    return preset, by_name[name]


def _hyperparameters(
    preset: str, groups: Sequence[form.FormGroup], slots: dict[str, Any]
) -> dict[str, Any]:
    if not groups:
        widgets.mute("There is nothing to set: this baseline has no hyperparameters.")
        return {}
    with st.container(border=True, key="form-first"):
        values = forms.group(preset, groups[0], slots)
    folded = groups[1:]
    if folded:
        count = sum(len(group.fields) for group in folded)
        with st.expander(f"{count} more hyperparameters", key="form-more"):
            for group in folded:
                widgets.chart_title(group.title)
                values |= forms.group(preset, group, slots)
    return values


def _training_options(preset: str) -> dict[str, Any]:
    """Draw what is asked beside hyperparameters: seed, device, members and refit."""
    seed, device, members, refit = st.columns(4)
    found: dict[str, Any] = {}
    found["seed"] = seed.number_input(
        "Model seed", 0, 2**31 - 1, 0, help="Of weights, dropout and batches.", **bound("seed")
    )
    if preset not in PRESETS:
        return found
    chosen = device.selectbox(
        "Device",
        DEVICES,
        help="auto takes the fastest this machine has; default, what MOVIEREC_DEVICE says.",
        **bound("device"),
    )
    found["device"] = None if chosen == AS_SET else chosen
    found["members"] = members.number_input(
        "Members", 1, MOST_MEMBERS, 1,
        help="Models of different seeds, averaged into one version: better, and as many times "
        "as long.", **bound("members"),
    )  # fmt: skip
    with refit:
        st.space("small")
        found["refit"] = st.toggle(
            "Refit",
            help="Once the epoch is chosen, train as long again on train and validation part "
            "together.", **bound("refit"),
        )  # fmt: skip
    return found


def _annotate(
    preset: str, values: Mapping[str, Any], changed: Mapping[str, Any], wrong: Mapping[str, str],
    slots: dict[str, Any],
) -> None:  # fmt: skip
    start = {each.name: each.default for part in form.groups(preset) for each in part.fields}
    for name in values:
        if name in wrong:
            forms.remark(slots, name, wrong[name], wrong=True)
        elif name in changed:
            forms.remark(slots, name, f"{preset}: {_plain(start[name])}")
    if "split" in wrong:
        forms.remark(slots, "split", wrong["split"], wrong=True)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _summary(draft: Draft) -> None:
    widgets.html('<h2 class="mr-chart-title">What you are about to train</h2>')
    widgets.facts(_changes(draft))
    if draft.wrong:
        forms.mend_first(draft.wrong)
    else:
        _costs(estimate(cache.store(), draft.training, draft.dataset))
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
        training = draft.training
        widgets.command(train_command(training, training.hyperparameters, {}))


def _changes(draft: Draft) -> dict[str, str]:
    shown = list(draft.changed.items())[:_SHOWN_CHANGES]
    facts = {"Model": draft.preset, "Data": draft.dataset.name}
    facts |= {form.label(name): f"● {value}" for name, value in shown}
    rest = len(draft.changed) - len(shown)
    if rest:
        facts["and"] = f"{rest} more changes"
    if not shown:
        facts["Changed"] = "No changes from the preset"
    return facts


def _costs(found: Estimate) -> None:
    """Draw the estimated time and memory, and the basis of the estimate."""
    memory = f"≈ {integer(found.memory_mb)} MB" if found.memory_mb > 0 else NOT_MEASURED
    widgets.chips({"Time": _about(found.seconds), "Memory": memory})
    widgets.mute(_basis(found))


def _about(seconds: float) -> str:
    return f"≈ {duration(seconds)}" if math.isfinite(seconds) else NOT_MEASURED


def _basis(found: Estimate) -> str:
    if not found.runs:
        known = "as on a laptop with two cores" if math.isfinite(found.seconds) else "not known yet"
        return f"An estimate, {known}: this model has not been trained on this machine."
    runs = "the last run" if found.runs == 1 else f"the last {found.runs} runs"
    text = f"From {runs} of this model on this machine"
    if found.epochs:
        fits = f"{found.fits} × " if found.fits > 1 else ""
        text += f": {fits}{found.epochs} epochs of {duration(found.epoch_seconds)}, fewer if it "
        text += "stops early"
    return f"{text}."


def _submit(draft: Draft, *, make_current: bool | None) -> None:
    try:
        jobs.submit_train(cache.settings(), **draft.request, make_current=make_current)
    except MovierecError as error:
        st.error(literal(f"{error.message} {error.hint or ''}"), icon=":material/error:")
        return
    st.session_state.pop("run-just-ended", None)
    st.rerun()


def fill_in(run: RunRecord) -> None:
    """Put a run's settings into the form and open it; for a button's `on_click`."""
    request = run.request
    state: Any = st.session_state
    split = dict(request.get("split") or {})
    state["preset"], state["train-data"] = run.preset, run.dataset_name
    state["split"] = split.pop("name", "random")
    state.update({f"split_{name}": value for name, value in split.items()})
    state.update({name: request[name] for name in ("seed", "members", "refit") if name in request})
    device = str(request.get("device") or AS_SET)
    # the form offers kinds of devices, not each card
    state["device"] = device if device in DEVICES else device.partition(":")[0]
    forms.fill_in_engine("train", request.get("engine") or {})
    for name, value in _values(run).items():
        key = forms.key_of(run.preset, name)
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
