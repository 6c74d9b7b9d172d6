"""Opening a page with Streamlit's own AppTest, and reading what it shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PROJECT

_LIVE = "movierec_live_chart"


def opened_page(page: str, /, **query: str | list[str]) -> AppTest:
    """A page under an address with this query; it must draw without an exception."""
    at = AppTest.from_file(str(PROJECT / "Home.py"), default_timeout=60)
    if page != "Home.py":
        at.run().switch_page(str(PROJECT / page))
    for key, value in query.items():
        at.query_params[key] = value
    return drawn(at.run())


def drawn(at: AppTest) -> AppTest:
    assert not at.exception, at.exception[0].stack_trace
    return at


def shown(at: AppTest) -> str:
    """All HTML and text on the page."""
    bodies = [element.proto.body for element in at.get("html")]
    texts = [e.value for e in [*at.error, *at.warning, *at.info, *at.markdown]]
    return "\n".join([*bodies, *texts])


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def charts_of(at: AppTest) -> list[dict[str, Any]]:
    """Every figure: those that Streamlit draws, then those that are updated in place."""
    still = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return still + [json.loads(data["figure"]) for data in _live(at)]


def alts_of(at: AppTest) -> list[str]:
    """The text for the blind of every figure, in the order of `charts_of`."""
    still = [chart.proto.alt for chart in at.get("plotly_chart")]
    return still + [data["alt"] for data in _live(at)]


def without_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be queued for real, and no process take them."""
    for module in ("", ".submit"):
        monkeypatch.setattr(f"movierec.jobs{module}.ensure_worker", lambda _settings: None)


def _live(at: AppTest) -> list[dict[str, Any]]:
    found = [element.proto for element in at.get("bidi_component")]
    return [json.loads(proto.json) for proto in found if proto.component_name == _LIVE]
