"""The state that the endpoints share: versions, the split of users, cached answers, counts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from movierec.errors import MovierecError, NotFoundError, StoreError
from movierec.registry.names import CURRENT
from movierec.server.ab_split import ABSplit
from movierec.server.encoding import Answer, AnswerCache
from movierec.server.errors import RequestError
from movierec.server.metrics import Metrics
from movierec.server.served_version import ServedVersion
from movierec.server.versions import Follower, Versions
from movierec.settings import Settings
from movierec.store import Store, open_store

__all__ = ["ListCounts", "Service"]

SECONDS = 5.0  # between two writes of counts
SOURCE = "api"
_log = logging.getLogger(__name__)
DATABASE_PATIENCE = 2.0  # seconds that /health waits for the database


class Service:
    """One API and all it holds; opened with the app and closed with it."""

    def __init__(self, settings: Settings, traffic: ABSplit) -> None:
        self.settings = settings
        self.traffic = traffic
        self.store: Store = open_store(settings)
        self.cache = AnswerCache()
        self.versions = Versions(
            settings, self.store, traffic.names, on_swap=lambda: self.metrics.swapped()
        )
        self.metrics = Metrics(self.versions.loaded, self.cache)
        self.list_counts = ListCounts(self.store)
        # explanations and newcomers may take tens of milliseconds: others are answered meanwhile
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="answer")
        self._follower = Follower(settings, traffic.names)
        self._ended = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the versions of the split; begin to write counts and to follow other machines."""
        self._flushing = asyncio.create_task(self.list_counts.keep_flushing(self._ended))
        self._follower.start()
        for name in self.traffic.names:
            with suppress(MovierecError):  # /health shows the problem; it is tried again later
                await self.versions.of_share(name)

    async def close(self) -> None:
        """Write the last counts and release everything."""
        self._ended.set()
        self._follower.close()
        if self._flushing is not None:
            await self._flushing
        self.versions.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    async def choose(self, version: str | None, user: str | None) -> tuple[ServedVersion, str]:
        """Return the version that answers, and how it was found.

        Raises:
            NotFoundError: there is no such version.
            RequestError: there is no current version.

        """
        if version is not None and version != CURRENT:
            return await self.versions.get(version), "asked"
        has_share = version is None and user is not None and bool(self.traffic.shares)
        share = self.traffic.version_for(user or "") if has_share else CURRENT
        try:
            served = await self.versions.of_share(share)
        except NotFoundError as error:
            raise RequestError(503, "not_ready", error.message, error.hint) from error
        if version is not None:
            return served, "asked"
        is_share = has_share and share in (CURRENT, served.name)
        return served, "share" if is_share else "current"

    async def in_thread(self, work: Any, *arguments: Any) -> Any:
        """Call in a thread what takes long, so that others are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def count(self, path: str, answer: Answer, *, is_list: bool = False) -> None:
        """Count an answer, and a list for the comparison of versions."""
        self.metrics.answered(answer.version, path, answer.reason)
        if is_list:
            self.list_counts.add(answer.version)

    async def database_answers(self) -> bool:
        """Return whether the database can be read within two seconds."""
        read = asyncio.get_running_loop().run_in_executor(None, self.store.versions.current)
        try:
            await asyncio.wait_for(asyncio.shield(read), DATABASE_PATIENCE)
        except (StoreError, TimeoutError):
            return False
        return True


class ListCounts:
    """Counts of served lists by version; what cannot be written now is written later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: Counter[str] = Counter()

    def add(self, version: str) -> None:
        """Count one list."""
        self._waiting[version] += 1

    async def flush(self) -> None:
        """Write the counts, in a thread; they are kept where the database cannot be written."""
        counts, self._waiting = self._waiting, Counter()
        if counts and not await asyncio.to_thread(self._write, counts):
            self._waiting.update(counts)

    async def keep_flushing(self, ended: asyncio.Event) -> None:
        """Write every few seconds, and once more at the end."""
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), SECONDS)
            await self.flush()

    def _write(self, counts: Counter[str]) -> bool:
        try:
            self._store.served.add({(name, SOURCE): n for name, n in counts.items()})
        except StoreError as error:
            _log.warning("counts not written yet", extra={"problem": str(error)})
            return False
        return True
