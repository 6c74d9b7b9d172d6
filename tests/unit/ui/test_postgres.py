"""The pages on PostgreSQL: empty, with data and a version, with a run under way, server away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from movierec.settings import Settings
from movierec.store import Store
from tests.conftest import PROJECT
from tests.support import states
from tests.support.pages import labels, opened_page, shown

if TYPE_CHECKING:
    from tests.support.postgres import Cluster

PAGES = ["Home.py", *(f"pages/{path.name}" for path in sorted((PROJECT / "pages").glob("*.py")))]


@pytest.fixture
def settings(
    settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    monkeypatch.setenv("MOVIEREC_DATABASE_URL", postgres_url)
    return settings.model_copy(update={"database_url": postgres_url})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_an_empty_database(page: str, settings: Settings) -> None:
    at = opened_page(page)
    assert labels(at)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_with_data_a_version_and_a_run(page: str, store: Store) -> None:
    data = states.add_dataset(store)
    states.add_version(store, data)
    run = states.add_running(store, data.name)
    states.add_failed(store, data.name)
    at = opened_page(page)
    assert f"Cancel run {run.id}" in labels(at)
    assert data.name in shown(at)


def test_home_shows_the_version(store: Store) -> None:
    states.add_version(store, states.add_dataset(store))
    assert "v1.0.0 predicts ratings with an error of 0.92 stars" in shown(opened_page("Home.py"))


def test_a_server_that_is_away_is_said_without_the_password(
    settings: Settings, postgres: Cluster
) -> None:
    postgres.stop()
    try:
        text = shown(opened_page("Home.py"))
    finally:
        postgres.start()
    assert "Connection refused" in text
    assert "Check that the server runs" in text
    assert "Geheimnis" not in text
