"""The versions in memory: loading them, and following `current` while requests are answered."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from movierec.data.dataset import Dataset
from movierec.errors import MovierecError, NotFoundError
from movierec.registry import Registry
from movierec.registry.names import CURRENT, is_name
from movierec.server.served_version import Loader, ServedVersion, mark_of, reference_of
from movierec.settings import Settings
from movierec.store import Store, open_store

__all__ = ["Follower", "Versions"]

SECONDS = 5.0  # between two looks at the database
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
        pinned: tuple[str, ...],
        *,
        on_swap: Callable[[], None],
    ) -> None:
        self._root = str(settings.models_path)
        self._load = Loader(settings, store)
        self._pinned = {CURRENT, *pinned}
        self._on_swap = on_swap
        self._loaded: OrderedDict[str, ServedVersion] = OrderedDict()
        self._current: ServedVersion | None = None
        self._is_closed = False
        self._loading: dict[str, asyncio.Future[ServedVersion]] = {}
        # time and cause, of the versions that should be ready
        self._failed: dict[str, tuple[float, str]] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="load")

    @property
    def problem(self) -> str | None:
        """Why a version that should answer cannot; None where all can."""
        found = [self._failed[name][1] for name in self._needed() if name in self._failed]
        return found[0] if found else None

    @property
    def names(self) -> list[str]:
        """The versions in memory."""
        return sorted(self._loaded)

    def loaded(self) -> list[ServedVersion]:
        """Return the versions in memory."""
        return list(self._loaded.values())

    async def get(self, name: str = CURRENT) -> ServedVersion:
        """Return a version by its name; raises as `Loader`."""
        if name == CURRENT:
            return self._current_now() or await self._first()
        found = self._fresh(name) if is_name(name) else None
        return found or await self._wait_for(name)

    async def of_share(self, name: str) -> ServedVersion:
        """Return a version that gets a share of the users; `current` where it cannot be had."""
        if name == CURRENT or mark_of(self._root, name) is None or self._has_just_failed(name):
            return await self.get()
        try:
            return await self.get(name)
        except MovierecError:
            return await self.get()

    def close(self) -> None:
        """End the loading thread."""
        self._is_closed = True
        self._threads.shutdown(cancel_futures=True)

    def _current_now(self) -> ServedVersion | None:
        """Return the version that answers for `current`; start to load another if it moved."""
        name = self._link()
        if name is None:
            return self._current
        found = self._fresh(name)
        if found is not None:
            self._make_current(found)
        elif self._current is not None and not self._has_just_failed(name):
            self._start(name)
        return self._current

    async def _first(self) -> ServedVersion:
        """Return the current version where none has answered yet."""
        served = await self._wait_for(self._link() or CURRENT)
        self._make_current(served)
        return served

    def _make_current(self, served: ServedVersion) -> None:
        before, self._current = self._current, served
        if before is not None and before is not served:
            self._on_swap()

    def _link(self) -> str | None:
        try:
            name = os.readlink(f"{self._root}/{CURRENT}")  # noqa: PTH115 - as `mark_of`
        except OSError:
            return None
        return name if is_name(name) else None

    def _fresh(self, name: str) -> ServedVersion | None:
        """Return a loaded version whose files are still those it was loaded from."""
        found = self._loaded.get(name)
        if found is None:
            return None
        mark = mark_of(self._root, name)
        if mark == found.mark:
            self._loaded.move_to_end(name)
            return found
        del self._loaded[name]
        return None

    async def _wait_for(self, name: str) -> ServedVersion:
        # a request that gives up waiting must not end it for the others
        return await asyncio.shield(self._start(name))

    def _has_just_failed(self, name: str) -> bool:
        return time.monotonic() - self._failed.get(name, (-RETRY, ""))[0] < RETRY

    def _start(self, name: str) -> asyncio.Future[ServedVersion]:
        """Begin to load a version, unless that is under way."""
        if name not in self._loading:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, self._load, name, self._data)
            self._loading[name] = future
            future.add_done_callback(lambda done: self._finished(name, done))
        return self._loading[name]

    def _finished(self, name: str, done: asyncio.Future[ServedVersion]) -> None:
        del self._loading[name]
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._record_failure(name, error)
        elif not done.cancelled():
            self._keep(done.result())

    def _record_failure(self, name: str, error: BaseException) -> None:
        if name in self._needed():
            self._failed[name] = (time.monotonic(), str(error))
        if not isinstance(error, NotFoundError):
            _log.warning("version not loaded", extra={"version": name, "problem": str(error)})

    def _keep(self, served: ServedVersion) -> None:
        if self._is_closed:
            return
        self._failed = {n: f for n, f in self._failed.items() if n not in (served.name, CURRENT)}
        self._loaded[served.name] = served
        self._loaded.move_to_end(served.name)
        loop = asyncio.get_running_loop()
        found = loop.run_in_executor(self._threads, reference_of, served)
        found.add_done_callback(lambda done: _set_reference(served, done))
        self._make_room({*self._needed(), served.name})

    def _make_room(self, needed: set[str]) -> None:
        """Forget those used longest ago, where there are too many."""
        loaded = self._loaded.items()
        spare = [n for n, each in loaded if n not in needed and each is not self._current]
        for name in spare[: max(0, len(spare) - MOST + 1)]:
            del self._loaded[name]

    def _needed(self) -> set[str]:
        """Return the names of those that must be ready: `current`'s own and those with a share."""
        link = self._link()
        return self._pinned | ({link} if link else set())

    def _data(self, fingerprint: str) -> Dataset | None:
        """Return the data of a version in memory; called by the loading thread."""
        for served in self.loaded():
            if served.record.fingerprint == fingerprint:
                return served.version.dataset
        return None


def _set_reference(served: ServedVersion, done: asyncio.Future[list[float]]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.warning("no reference", extra={"version": served.name, "problem": str(error)})
    elif not done.cancelled():
        served.drift.refer_to(done.result())


class Follower:
    """Fetches the version that became current, and those with a share of the users.

    Until one is here the version before answers, and so it does where one cannot be fetched.
    Nothing happens where machines share nothing.
    """

    def __init__(self, settings: Settings, names: tuple[str, ...]) -> None:
        self._settings = settings
        self._names = [name for name in names if name != CURRENT]
        self._problem = ""  # the last one that was logged
        self._ended = threading.Event()
        # nobody waits for it: what is half fetched when the server ends counts for nothing
        self._thread = threading.Thread(target=self._work, name="follow", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        if self._settings.artifacts_url:
            self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._ended.set()

    def _work(self) -> None:
        with open_store(self._settings) as store:
            registry = Registry(self._settings, store)
            while not self._ended.is_set():
                self._look(registry)
                self._ended.wait(SECONDS)

    def _look(self, registry: Registry) -> None:
        try:
            registry.shared.follow()
            for name in self._names:
                registry.path(name)
        except MovierecError as error:
            if str(error) != self._problem:  # once, not every five seconds
                _log.warning("not followed", extra={"problem": str(error)})
            self._problem = str(error)
        else:
            self._problem = ""
