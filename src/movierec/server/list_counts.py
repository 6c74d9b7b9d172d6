"""How many lists each version gave: counted at once, written now and then."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress

from movierec.errors import StoreError
from movierec.store import Store

__all__ = ["Served"]

SECONDS = 5.0
SOURCE = "api"

_log = logging.getLogger(__name__)


class Served:
    """Counts of lists by version; what cannot be written now is written later."""

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
