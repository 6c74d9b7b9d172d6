"""The sessions of `benchmarks/dashboard.py` are what Streamlit takes for a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.live.sessions import Session
from movierec.store import Store
from tests.support import states

pytestmark = pytest.mark.browser

PATIENCE = 60.0  # seconds


def run_apart(visit: Callable[[], Coroutine[None, None, Session]]) -> Session:
    """Run a coroutine in a thread: Playwright's loop keeps this one for the whole session."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(visit())).result()


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

    seen = run_apart(visit).seen
    assert seen.opened > 0
    assert seen.received > 10_000
    assert seen.errors == []


def test_a_page_without_a_run_is_not_polled(store: Store, address: str) -> None:
    async def visit() -> Session:
        async with Session(address, "Data") as session:
            return session

    session = run_apart(visit)
    assert session._timers == {}
    assert session.seen.polls == []
