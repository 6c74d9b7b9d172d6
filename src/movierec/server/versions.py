"""The versions in memory: which one is current now, and how it changes while others answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from movierec.data.dataset import Dataset
from movierec.errors import NotFoundError
from movierec.registry.names import CURRENT, is_name
from movierec.server.held import Held, Loader, mark_of, reference_of
from movierec.settings import Settings
from movierec.store import Store

__all__ = ["Versions"]

MOST = 4  # versions in memory, beside those that get a share of the users
RETRY = 2.0  # seconds until a version that could not be loaded is tried again

_log = logging.getLogger(__name__)


class Versions:
    """Loaded versions, by name. All but the loading itself happens in the event loop's thread.

    Where `current` leads is read from its link for every question, some microseconds. A version
    that became current is loaded by a thread of its own while the one before still answers; from
    then on every question is answered by the new one.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        kept: tuple[str, ...] = (),
        swapped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._root: Path = settings.models_path
        self._load = Loader(settings, store)
        self._kept = {CURRENT, *kept}
        self._swapped = swapped
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._current: Held | None = None
        self._loading: dict[str, asyncio.Future[Held]] = {}
        self._failed = ("", 0.0)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self.problem: str | None = None

    @property
    def names(self) -> list[str]:
        """The versions in memory."""
        return sorted(self._held)

    def held(self) -> list[Held]:
        """Return the versions in memory."""
        return list(self._held.values())

    async def get(self, name: str = CURRENT) -> Held:
        """Return a version by its name; raises as `Loader`."""
        if name == CURRENT:
            return self._now() or await self._first()
        found = self._fresh(name) if is_name(name) else None
        return found or await self._loaded(name)

    async def of_share(self, name: str) -> Held:
        """Return a version that gets a share of the users; `current` where it is gone."""
        if name == CURRENT or mark_of(self._root, name) is None:
            return await self.get()
        return await self.get(name)

    def close(self) -> None:
        """End the loading thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> Held | None:
        """Return what answers for `current` at this moment; starts to load where it moved."""
        name = self._link()
        if name is None:
            return self._current
        found = self._fresh(name)
        if found is not None:
            self._take(found)
        elif self._current is not None and not self._has_just_failed(name):
            self._start(name)
        return self._current

    async def _first(self) -> Held:
        """Return the current version where none has answered yet."""
        self._take(await self._loaded(self._link() or CURRENT))
        return self._now() or await self._first()

    def _take(self, held: Held) -> None:
        if held is not self._current:
            self._current, self.problem = held, None
            self._swapped(held.name)

    def _link(self) -> str | None:
        try:
            name = str((self._root / CURRENT).readlink())
        except OSError:
            return None
        return name if is_name(name) else None

    def _fresh(self, name: str) -> Held | None:
        """Return a loaded version whose files are still those it was loaded from."""
        found = self._held.get(name)
        if found is None:
            return None
        mark = mark_of(self._root, name)
        if mark == found.mark:
            return found
        del self._held[name]
        return None

    async def _loaded(self, name: str) -> Held:
        # whoever gives up waiting must not end it for the others
        return await asyncio.shield(self._start(name))

    def _has_just_failed(self, name: str) -> bool:
        return self._failed[0] == name and time.monotonic() - self._failed[1] < RETRY

    def _start(self, name: str) -> asyncio.Future[Held]:
        """Begin to load a version, unless that is under way."""
        if name not in self._loading:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, self._load, name, self._data)
            self._loading[name] = future
            future.add_done_callback(lambda done: self._finished(name, done))
        return self._loading[name]

    def _finished(self, name: str, done: asyncio.Future[Held]) -> None:
        del self._loading[name]
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._failed = (name, time.monotonic())
            self._told(name, error)
        elif not done.cancelled():
            self._keep(done.result())

    def _told(self, name: str, error: BaseException) -> None:
        if name in (CURRENT, self._link()):
            self.problem = str(error)
        if not isinstance(error, NotFoundError):
            _log.warning("version not loaded", extra={"version": name, "problem": str(error)})

    def _keep(self, held: Held) -> None:
        self._held[held.name] = held
        self._held.move_to_end(held.name)
        loop = asyncio.get_running_loop()
        found = loop.run_in_executor(self._threads, reference_of, held)
        found.add_done_callback(lambda done: _refer(held, done))
        spare = [name for name in self._held if name not in self._needed(held.name)]
        for name in spare[: max(0, len(spare) - MOST + 1)]:
            del self._held[name]

    def _needed(self, newest: str) -> set[str]:
        current = self._current.name if self._current else newest
        return self._kept | {newest, current, self._link() or newest}

    def _data(self, fingerprint: str) -> Dataset | None:
        """Return the data of a version in memory; called by the loading thread."""
        for held in list(self._held.values()):
            if held.record.fingerprint == fingerprint:
                return held.version.dataset
        return None


def _refer(held: Held, done: asyncio.Future[list[float]]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.warning("no reference", extra={"version": held.name, "problem": str(error)})
    elif not done.cancelled():
        held.drift.refer_to(done.result())
