"""The form of a new sweep: which model on which data, what varies within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from movierec.store import DatasetRecord
from movierec.sweeps import form as sweep_form
from movierec.sweeps.space import Choices, Range
from movierec.ui.components import forms
from movierec.ui.components.text import literal
from movierec.ui.sweeps.results import METRICS
from movierec.workflows import form

__all__ = ["fill_in", "form_of"]

_AUTO = "automatic (RMSE or NDCG)"
_KEPT: Mapping[str, Any] = {"persist_state": "session"}
# small enough for a coffee on a laptop, large enough to be told what mattered
_SMALL_PRESET = "default"
_SMALL_SEARCH = ("learning_rate", "dropout", "ranking_weight")
_SMALL_TRIALS = 12


def form_of(datasets: Sequence[DatasetRecord], submit: Callable[[Mapping[str, Any]], None]) -> None:
    """Draw the form; `submit` is called with the fields of a SweepRequest that can be started."""
    slots: dict[str, Any] = {}
    with st.container(border=True, key="sweep-what"):
        preset, data = _what(datasets)
        split, split_wrong = forms.choose_split(
            "Split of the sweep", data, slots, prefix="sweep_split", key="sweep-split", **_KEPT,
            help="Trials train on the train part and are measured on the validation part. They "
            "do not even have the test part.",
        )  # fmt: skip
    with st.container(border=True, key="sweep-space"):
        search = _space(preset, slots)
    with st.container(border=True, key="sweep-how"):
        options = _sweep_options(slots)
        options["engine"], refused = forms.choose_engine("sweep", "try points at the same time")
    training = {"preset": preset, "dataset": data.name, "split": split, "seed": options.pop("seed")}
    request = {"training": training, "search": search, **options}
    others = {**sweep_form.complaints({**request, "engine": {}}), **split_wrong}
    for name, text in others.items():
        forms.remark(slots, name, text, wrong=True)
    wrong = {**others, **refused}
    _button(request, wrong, submit)


def fill_in() -> None:
    """Put a small sweep into the form; for a button's `on_click`."""
    state: Any = st.session_state
    state["sweep-preset"], state["sweep-trials"] = _SMALL_PRESET, _SMALL_TRIALS
    state[_key(_SMALL_PRESET, "vary")] = [*_SMALL_SEARCH]
    state["sweep-filled"] = True


def _what(datasets: Sequence[DatasetRecord]) -> tuple[str, DatasetRecord]:
    left, right = st.columns([3, 2])
    preset = left.selectbox(
        "Model to search", sweep_form.models(), key="sweep-preset",
        help="A preset of GraphSAGE, or a baseline; what does not vary stays as the preset has it.",
        **_KEPT,
    )  # fmt: skip
    by_name = {record.name: record for record in datasets}
    name = right.selectbox("Data set of the sweep", list(by_name), key="sweep-data", **_KEPT)
    return preset, by_name[name]


def _space(preset: str, slots: dict[str, Any]) -> list[str]:
    """Draw the search space, a row per hyperparameter; return it as typed after --search."""
    chosen = st.multiselect(
        "Hyperparameters to vary", sweep_form.searchable(preset),
        default=sweep_form.usual(preset), key=_key(preset, "vary"),
        placeholder="Choose at least one", **_KEPT,
        help="Each starts with the range that is worth the time. More of them need more trials.",
    )  # fmt: skip
    slots["search"] = st.empty()
    texts = []
    for name in chosen:
        values = _dimension(preset, name)
        slots[name] = st.empty()
        texts.append(f"{name}={values}")
    return texts


def _dimension(preset: str, name: str) -> str:
    usual = sweep_form.dimension(preset, name)
    return (
        _range(preset, name, usual) if isinstance(usual, Range) else _choices(preset, name, usual)
    )


def _range(preset: str, name: str, usual: Range) -> str:
    low, high, log = st.columns([3, 3, 2], vertical_alignment="bottom")
    kept: Mapping[str, Any] = {"format": "%d" if usual.whole else "%g", **_KEPT}
    ends = []
    for cell, word, value in zip((low, high), ("from", "to"), usual.values, strict=True):
        key = _key(preset, f"{name}-{word}")
        label = f"{form.label(name)}, {word}"
        ends.append(cell.number_input(label, value=value, step=_step(value), key=key, **kept))
    factors = log.toggle(
        "log scale", value=usual.log, key=_key(preset, f"{name}-log"),
        help=f"Of {form.label(name).lower()}: every factor is as likely, not every difference.",
        **_KEPT,
    )  # fmt: skip
    return f"{ends[0]!r}..{ends[1]!r}{':log' * factors}"


def _choices(preset: str, name: str, usual: Choices) -> str:
    options = [Choices(values=(value, "")).text.removesuffix(",") for value in usual.values]
    chosen = st.multiselect(
        f"{form.label(name)}, one of", options, default=options, key=_key(preset, f"{name}-of"),
        placeholder="Choose two or more", accept_new_options=name == "aggregator", **_KEPT,
    )  # fmt: skip
    return ",".join(chosen)


def _sweep_options(slots: dict[str, Any]) -> dict[str, Any]:
    """Draw the options of the sweep; return them as fields of the request, and the seed."""
    cells = st.columns(4)
    found: dict[str, Any] = {}
    with cells[0]:
        found["trials"] = st.number_input("Trials", 1, 10_000, 20, key="sweep-trials", **_KEPT)
        slots["trials"] = st.empty()
    with cells[1]:
        metric = st.selectbox(
            "Metric", (_AUTO, *METRICS), key="sweep-metric", **_KEPT,
            format_func=lambda name: METRICS[name][1] if name in METRICS else name,
        )  # fmt: skip
        found["metric"] = None if metric == _AUTO else metric
        slots["metric"] = st.empty()
    with cells[2]:
        name = st.text_input(
            "Name (optional)", key="sweep-name", max_chars=80, placeholder="model and a number",
            help="A sweep of this name that exists gets the trials added.", **_KEPT,
        )  # fmt: skip
        found["name"] = (name or "").strip() or None
        slots["name"] = st.empty()
    found["seed"] = cells[3].number_input(
        "Seed of the sweep", 0, 2**31 - 1, 0, key="sweep-seed", **_KEPT
    )
    found["prune"] = st.toggle(
        "Stop trials that lag behind", value=True, key="sweep-prune", **_KEPT,
        help="After a third of its epochs a trial that is worse than half of the others were then "
        "is ended; the time goes to better ones.",
    )  # fmt: skip
    return found


def _button(
    request: Mapping[str, Any], wrong: Mapping[str, str],
    submit: Callable[[Mapping[str, Any]], None],
) -> None:  # fmt: skip
    forms.mend_first(wrong)
    trials = request["trials"]
    label = f"Start the sweep of {trials} trial{'s' * (trials != 1)}"
    if st.button(
        literal(label), type="primary", icon=":material/search:", key="sweep-start",
        disabled=bool(wrong),
    ):  # fmt: skip
        submit(request)


def _step(value: float) -> float | int:
    return 1 if isinstance(value, int) else abs(value) / 10 or 0.05


def _key(preset: str, name: str) -> str:
    return f"sweep-{preset}-{name}"
