"""The whole way through the pages on real data: nothing, fetch, look, train, metrics."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from movierec.store import Store
from tests.browser.conftest import Watched

pytestmark = [
    pytest.mark.browser,
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

FETCH_MS = 180_000
TRAIN_MS = 1_200_000


def test_from_an_empty_database_to_a_measured_version(store: Store, watched: Watched) -> None:
    page = watched.page
    watched.open()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing is here yet")
    page.get_by_role("button", name="Fetch MovieLens 100K").click()
    expect(page.get_by_test_id("stProgress")).to_be_visible()
    train = page.get_by_role("button", name="Train the first version")
    expect(train).to_be_visible(timeout=FETCH_MS)

    page.get_by_test_id("stSidebar").get_by_role("link", name="Data").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("943 users gave 100,000 ratings")
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()

    train.click()
    expect(page.get_by_text(re.compile("at epoch .* best so far"))).to_be_visible(timeout=TRAIN_MS)
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        re.compile(r"v\S+ predicts ratings with an error of 0\.\d\d stars"), timeout=TRAIN_MS
    )
    expect(page.get_by_test_id("stMetric")).to_have_count(4)
    expect(page.get_by_role("row", name=re.compile("most popular"))).to_be_visible()
    watched.check()
    version = store.versions.current()
    assert version is not None
    assert version.metadata.evaluation.rmse < 1.0
