"""Sessions that speak Streamlit's WebSocket as its frontend does, without a browser.

python benchmarks/live/sessions.py ADDRESS PAGE [--query view=Runs] [--sessions 17]

It opens the page in every session, says `ready`, polls as the page asks until its input ends,
and prints what it saw as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

__all__ = ["Seen", "Session", "opened_seconds"]

PATIENCE = 120.0  # seconds for an answer; only a server that hangs takes so long
XSRF_COOKIE = "_streamlit_xsrf"


@dataclass
class Seen:
    """What one session saw: seconds of opening and of each poll, polls that found it waiting.

    `late` counts polls that were due while an earlier one had no answer; Streamlit joins such
    requests, so they are not sent. `errors` are exceptions that the page showed.
    """

    opened: float = 0.0
    polls: list[float] = field(default_factory=list)
    late: int = 0
    received: int = 0
    errors: list[str] = field(default_factory=list)


class Session:
    """One open page; a context manager. `page` is as in its address, "" is Home."""

    def __init__(self, address: str, page: str = "", query: str = "") -> None:
        self.seen = Seen()
        self._address, self._page, self._query = address, page, query
        self._hash = ""
        self._known: dict[str, int] = {}  # large messages by the number of their last run
        self._runs = 0
        self._is_closing = False
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._answer: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        cookie = await asyncio.to_thread(_xsrf_token, self._address)
        self._socket: ClientConnection = await connect(
            f"{self._address.replace('http', 'ws', 1)}/_stcore/stream",
            origin=self._address, subprotocols=["streamlit", cookie],
            additional_headers={"Cookie": f"{XSRF_COOKIE}={cookie}"}, max_size=None,
        )  # fmt: skip
        self._listener = asyncio.create_task(self._listen())
        self.seen.opened = await self.rerun()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closing = True
        self._forget_timers()
        await self._socket.close()
        self._listener.cancel()

    async def rerun(self, fragment: str = "") -> float:
        """Ask for a run of the page or of one fragment; return seconds until it was finished."""
        self._answer = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        await self._socket.send(self._request(fragment))
        await asyncio.wait_for(self._answer, PATIENCE)
        return time.perf_counter() - started

    def _request(self, fragment: str) -> bytes:
        message = BackMsg()
        script = message.rerun_script
        script.query_string, script.fragment_id = self._query, fragment
        script.is_auto_rerun = bool(fragment)
        script.page_script_hash = self._hash
        script.page_name = "" if self._hash else self._page
        script.widget_states.SetInParent()
        script.cached_message_hashes.extend(self._known)
        script.context_info.url = f"{self._address}/{self._page}"
        script.context_info.timezone, script.context_info.locale = "UTC", "en-GB"
        return message.SerializeToString()

    async def _listen(self) -> None:
        async for data in self._socket:
            self.seen.received += len(data)
            self._hear(ForwardMsg.FromString(data))

    def _hear(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._start(message)
        elif kind == "auto_rerun":
            self._poll_every(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            self._forget_timers(message.stop_auto_rerun.fragment_ids)
        elif kind == "script_finished":
            self._finish(message)
        elif kind == "delta":
            self._look(message)
        if message.metadata.cacheable or kind == "ref_hash":
            self._known[message.ref_hash or message.hash] = self._runs

    def _start(self, message: ForwardMsg) -> None:
        self._runs += 1
        self._hash = message.new_session.page_script_hash
        if not message.metadata.run.fragment_ids:
            self._forget_timers()

    def _finish(self, message: ForwardMsg) -> None:
        if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return  # the run that was asked for within it follows by itself
        oldest = self._runs - 2  # as Streamlit's global.maxCachedMessageAge
        self._known = {k: run for k, run in self._known.items() if run >= oldest}
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _look(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        if element.WhichOneof("type") == "exception":
            self.seen.errors.append(f"{element.exception.type}: {element.exception.message}")

    def _poll_every(self, fragment: str, interval: float) -> None:
        if fragment not in self._timers and not self._is_closing:
            self._timers[fragment] = asyncio.create_task(self._poll(fragment, interval))

    async def _poll(self, fragment: str, interval: float) -> None:
        due = time.monotonic()
        while True:
            due += interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._answer is not None and not self._answer.done():
                self.seen.late += 1
                continue
            try:
                self.seen.polls.append(await self.rerun(fragment))
            except TimeoutError:
                self.seen.errors.append(f"no answer to a poll in {PATIENCE:.0f} s")

    def _forget_timers(self, fragments: Sequence[str] | None = None) -> None:
        for fragment in [*self._timers] if fragments is None else fragments:
            timer = self._timers.pop(fragment, None)
            if timer is not None:
                timer.cancel()


def opened_seconds(address: str, page: str, query: str, times: int) -> list[float]:
    """Return seconds from the request of a page until its script was finished, of new sessions."""
    with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop in the caller's
        return thread.submit(lambda: asyncio.run(_opened(address, page, query, times))).result()


async def _opened(address: str, page: str, query: str, times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        async with Session(address, page, query) as session:
            seconds.append(session.seen.opened)
    return seconds


def _xsrf_token(address: str) -> str:
    with urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE) as answer:
        cookies = SimpleCookie(answer.headers.get("Set-Cookie", ""))
    return cookies[XSRF_COOKIE].value


async def _many(options: argparse.Namespace) -> dict[str, Any]:
    sessions = [Session(options.address, options.page, options.query)
                for _ in range(options.sessions)]  # fmt: skip
    for session in sessions:
        await session.__aenter__()
        await asyncio.sleep(options.apart)  # people do not poll in step
    print("ready", flush=True)
    for session in sessions:
        session.seen.polls.clear()
        session.seen.late = session.seen.received = 0
    await asyncio.to_thread(sys.stdin.read)
    for session in sessions:
        await session.__aexit__()
    return {
        "opened": [session.seen.opened for session in sessions],
        "polls": [seconds for session in sessions for seconds in session.seen.polls],
        "late": sum(session.seen.late for session in sessions),
        "received": sum(session.seen.received for session in sessions),
        "errors": [error for session in sessions for error in session.seen.errors],
    }


def main() -> None:
    """Open the sessions, poll until the input ends, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("page", nargs="?", default="")
    parser.add_argument("--query", default="")
    parser.add_argument("--sessions", type=int, default=17)
    parser.add_argument("--apart", type=float, default=0.1, help="seconds between openings")
    print(json.dumps(asyncio.run(_many(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
