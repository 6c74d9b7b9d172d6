"""The sessions of `benchmarks/dashboard.py` are what Streamlit takes for a browser."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.live.sessions import Session
from movierec.store import Store
from tests.browser import states

pytestmark = pytest.mark.browser

PATIENCE = 60.0  # seconds


async def until_it_polled(session: Session, times: int) -> None:
    while len(session.seen.polls) < times:
        await asyncio.sleep(0.05)


async def until_it_stopped(session: Session) -> None:
    while session._timers:
        await asyncio.sleep(0.05)


def test_a_session_polls_while_a_run_goes_on_and_stops_when_it_ends(
    store: Store, address: str
) -> None:
    data = states.add_dataset(store)
    states.add_version(store, data)
    run = states.add_running(store, data.name)

    async def visit() -> Session:
        async with Session(address) as session:
            await asyncio.wait_for(until_it_polled(session, 2), PATIENCE)
            store.runs.finish(run.id, "cancelled")
            await asyncio.wait_for(until_it_stopped(session), PATIENCE)
        return session

    seen = asyncio.run(visit()).seen
    assert seen.opened > 0
    assert seen.received > 10_000
    assert seen.errors == []


def test_a_page_without_a_run_is_not_polled(store: Store, address: str) -> None:
    async def visit() -> Session:
        async with Session(address, "Data") as session:
            return session

    session = asyncio.run(visit())
    assert session._timers == {}
    assert session.seen.polls == []
