"""Letting `current` follow where several machines share versions: another may have moved it."""

from __future__ import annotations

import logging
import threading

from movierec.errors import MovierecError
from movierec.registry import Registry
from movierec.registry.names import CURRENT
from movierec.settings import Settings
from movierec.store import open_store

__all__ = ["Follower"]

SECONDS = 5.0  # between two looks at the database

_log = logging.getLogger(__name__)


class Follower:
    """Fetches the version that became current, and those with a share of the users.

    Until one is here the version before answers, and so it does where one cannot be fetched.
    Nothing happens where machines share nothing.
    """

    def __init__(self, settings: Settings, names: tuple[str, ...]) -> None:
        self._settings = settings
        self._names = [name for name in names if name != CURRENT]
        self._told = ""
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
            if str(error) != self._told:  # once, not every five seconds
                _log.warning("not followed", extra={"problem": str(error)})
            self._told = str(error)
        else:
            self._told = ""
