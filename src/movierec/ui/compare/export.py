"""The whole comparison as a file: a report in HTML, a table in CSV, everything in JSON."""

from __future__ import annotations

import json

import streamlit as st

from movierec.comparison.compare import as_csv, as_dict
from movierec.ui.compare import facts
from movierec.ui.compare.data import Compared
from movierec.ui.components import widgets

__all__ = ["downloads"]


def downloads(side: Compared) -> None:
    """Draw the buttons; what they give is made when they are clicked."""
    name = "-".join(["compare", *side.found.versions])[:80]
    with st.popover("Export", icon=":material/download:", width="stretch"):
        st.download_button(
            "Report (HTML)", lambda: _report(side), f"{name}.html", "text/html",
            key="export-html", icon=":material/article:", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            "Table (CSV)", lambda: as_csv(side.whole()), f"{name}.csv", "text/csv",
            key="export-csv", icon=":material/table:", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            "Everything (JSON)", lambda: _json(side), f"{name}.json", "application/json",
            key="export-json", icon=":material/data_object:", on_click="ignore", width="stretch",
        )  # fmt: skip
        widgets.mute("The same from a terminal:")
        st.code(
            facts.command(side.found, "--html", "report.html"),
            language="bash",
            wrap_lines=True,
        )


def _report(side: Compared) -> str:
    from movierec.ui.compare.report import report_html

    errors = {name: frame for name in side.alike if (frame := side.errors(name)) is not None}
    records = {name: evidence.record for name, evidence in side.evidence.items()}
    return report_html(side.whole(), records, errors, styles=side.styles)


def _json(side: Compared) -> str:
    return json.dumps(as_dict(side.whole()), indent=2, ensure_ascii=False, allow_nan=False)
