"""A link to the Train form, filled in as a version was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from movierec.errors import MovierecError
from movierec.metadata import RecordedSplit
from movierec.store.records import VersionRecord
from movierec.ui.components import cache
from movierec.ui.components.fields import key_of
from movierec.ui.components.text import literal
from movierec.workflows import form
from movierec.workflows.requests import MODELS

__all__ = ["address", "link"]


def link(version: VersionRecord, *, on: VersionRecord) -> None:
    """Offer to train a version's settings again, on the data and split of another one."""
    data = cache.store().datasets.find(on.fingerprint)
    if version.preset not in MODELS or data is None:
        return
    st.page_link(
        "pages/Train.py",
        label=literal(f"Train {version.name}'s settings again on {on.name}'s data and split"),
        icon=":material/model_training:",
        query_params=address(version, data.name, on.metadata.split),
    )


def address(version: VersionRecord, dataset: str, split: RecordedSplit) -> dict[str, str]:
    """Return the Train page's address whose form trains these settings on this data and split."""
    facts = version.metadata
    asked: dict[str, Any] = {
        "preset": version.preset, "train-data": dataset,
        "split": split.name or "random",
        "seed": facts.seed, "members": facts.members, "refit": facts.refit,
    }  # fmt: skip
    asked |= {f"split_{name}": value for name, value in split.as_dict().items() if name != "name"}
    changed = _changes(version.preset, facts.hyperparameters)
    asked |= {key_of(version.preset, name): value for name, value in changed.items()}
    return {key: _text(value) for key, value in asked.items() if value is not None}


def _changes(preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for group in form.groups(preset) for field in group.fields}
    try:
        return dict(form.changes(preset, {n: v for n, v in values.items() if n in known}))
    except MovierecError:  # of another movierec, whose settings are no more
        return {}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
