"""A table of versions in which rows can be selected, as two pages draw it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from movierec.comparison.metrics import BY_KEY
from movierec.store.records import VersionRecord

__all__ = ["distinct", "headline_metrics", "version_table"]


def version_table(
    rows: Sequence[Mapping[str, object]],
    names: Sequence[str],
    take: Callable[[list[str]], None],
    *,
    key: str,
    mode: Literal["single-row", "multi-row"],
    alt: str,
) -> None:
    """Draw rows, one for each of `names`; `take` gets the names selected, whenever that changes."""

    def selected() -> None:
        take([names[row] for row in st.session_state[key].selection.rows])

    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=min(360, 36 + 35 * len(rows)),
        column_config={
            metric.label: st.column_config.NumberColumn(
                format=f"%.{metric.digits}f", help=metric.hint
            )
            for metric in BY_KEY.values()
        },
        key=key,
        on_select=selected,
        placeholder="–",
        selection_mode=mode,
        alt=alt,
    )


def headline_metrics(record: VersionRecord, keys: Sequence[str]) -> dict[str, float]:
    """Return a version's metrics by the names of their columns."""
    evaluation = record.metadata.evaluation
    return {BY_KEY[key].label: BY_KEY[key].value_in(evaluation) for key in keys}


def distinct(records: Sequence[VersionRecord], field: str) -> list[str]:
    """Return the values of a field, sorted, each once: what a filter offers."""
    return sorted({getattr(record, field) for record in records})
