"""The Train page's form: which model, on which data, with what changed, and what it may cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from movierec.data.splits import SPLIT_NAMES
from movierec.jobs.estimate import Estimate
from movierec.models.graphsage.hyperparameters import PRESETS
from movierec.store import DatasetRecord
from movierec.ui.components import engine_form, fields, widgets
from movierec.ui.components.fields import kept_as
from movierec.ui.components.text import NOT_MEASURED, duration, integer
from movierec.workflows import form
from movierec.workflows.requests import MOST_MEMBERS, TrainRequest

__all__ = ["Draft", "costs", "draft"]

AS_SET = "as set"  # MOVIEREC_DEVICE decides
DEVICES = (AS_SET, "auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Draft:
    """What the form asks for. `wrong` holds complaints by field; empty: it can be queued."""

    preset: str
    dataset: DatasetRecord
    request: Mapping[str, Any]
    changed: Mapping[str, Any] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def training(self) -> TrainRequest:
        """The request as the worker will get it; only where nothing is wrong."""
        return TrainRequest.of(**self.request)


def draft(datasets: Sequence[DatasetRecord], models: Sequence[str]) -> Draft:
    """Draw the form and return what it asks for now."""
    slots: dict[str, Any] = {}
    preset, data = _what(datasets, models)
    with st.container(border=True, key="form-data"):
        split = _split(slots)
    groups = form.groups(preset)
    values = _hyperparameters(preset, groups, slots)
    extra = _around(preset)
    wrong = {**form.complaints(preset, values), **_split_wrong(data, split)}
    if preset in PRESETS:
        extra["engine"], refused = engine_form.choose("train", "share the users of one training")
        wrong |= refused
    changed = form.changes(preset, values)
    _annotate(preset, values, changed, wrong, slots)
    request = {"preset": preset, "dataset": data.name, "split": split, **extra}
    return Draft(preset, data, {**request, "hyperparameters": changed}, changed, wrong)


def costs(found: Estimate) -> None:
    """Draw how long it may take and how much memory, and where that is known from."""
    memory = f"≈ {integer(found.memory_mb)} MB" if found.memory_mb > 0 else NOT_MEASURED
    widgets.chips({"Time": _about(found.seconds), "Memory": memory})
    widgets.mute(_basis(found))


def _what(datasets: Sequence[DatasetRecord], models: Sequence[str]) -> tuple[str, DatasetRecord]:
    left, right = st.columns([3, 2])
    preset = left.selectbox(
        "Model", models, key="preset", bind="query-params", persist_state="session",
        help="A preset of GraphSAGE, or a baseline to stand beside it.",
    )  # fmt: skip
    by_name = {record.name: record for record in datasets}
    name = right.selectbox(
        "Data set", list(by_name), key="train-data", bind="query-params", persist_state="session"
    )
    widgets.mute(form.describe(preset))
    return preset, by_name[name]


def _split(slots: dict[str, Any]) -> dict[str, Any]:
    cells = st.columns(4)
    with cells[0]:
        name = st.selectbox(
            "Split", SPLIT_NAMES, index=SPLIT_NAMES.index("random"), key="split",
            bind="query-params", persist_state="session",
            help="How the ratings are divided into train, validation and test part. Two versions "
            "compare only on the same split.",
        )  # fmt: skip
        slots["split"] = st.empty()
    chosen: dict[str, Any] = {"name": name}
    for cell, each in zip(cells[1:], form.split_fields(name), strict=False):
        with cell:
            shown = replace(each, title="Split seed") if each.name == "seed" else each
            chosen[each.name] = fields.draw(shown, f"split_{each.name}")
    return chosen


def _split_wrong(data: DatasetRecord, split: Mapping[str, Any]) -> dict[str, str]:
    trouble = form.split_trouble(split["name"], data.n_ratings, has_times=data.has_timestamps)
    return {"split": trouble} if trouble else {}


def _hyperparameters(
    preset: str, groups: Sequence[form.FormGroup], slots: dict[str, Any]
) -> dict[str, Any]:
    if not groups:
        widgets.mute("There is nothing to set: this baseline has no hyperparameters.")
        return {}
    with st.container(border=True, key="form-first"):
        values = fields.group(preset, groups[0], slots)
    folded = groups[1:]
    if folded:
        count = sum(len(group.fields) for group in folded)
        with st.expander(f"{count} more hyperparameters", key="form-more"):
            for group in folded:
                widgets.html(f'<h3 class="mr-chart-title">{group.title}</h3>')
                values |= fields.group(preset, group, slots)
    return values


def _around(preset: str) -> dict[str, Any]:
    """Draw what is asked beside hyperparameters: seed, device, members, what happens after."""
    seed, device, members, refit = st.columns(4)
    found: dict[str, Any] = {
        "seed": seed.number_input(
            "Model seed",
            0,
            2**31 - 1,
            0,
            help="Of weights, dropout and batches.",
            **kept_as("seed"),
        )
    }
    if preset not in PRESETS:
        return found
    chosen = device.selectbox(
        "Device",
        DEVICES,
        help="auto takes the fastest this machine has; as set, what MOVIEREC_DEVICE says.",
        **kept_as("device"),
    )
    found["device"] = None if chosen == AS_SET else chosen
    found["members"] = members.number_input(
        "Members", 1, MOST_MEMBERS, 1,
        help="Models of different seeds, averaged into one version: better, and as many times "
        "as long.", **kept_as("members"),
    )  # fmt: skip
    with refit:
        st.space("small")
        found["refit"] = st.toggle(
            "Refit",
            help="Once the epoch is chosen, train as long again on train and validation part "
            "together.", **kept_as("refit"),
        )  # fmt: skip
    return found


def _annotate(
    preset: str, values: Mapping[str, Any], changed: Mapping[str, Any], wrong: Mapping[str, str],
    slots: dict[str, Any],
) -> None:  # fmt: skip
    start = {each.name: each.default for part in form.groups(preset) for each in part.fields}
    for name in values:
        if name in wrong:
            fields.said(slots, name, wrong[name], wrong=True)
        elif name in changed:
            fields.said(slots, name, f"{preset}: {_plain(start[name])}")
    if "split" in wrong:
        fields.said(slots, "split", wrong["split"], wrong=True)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
