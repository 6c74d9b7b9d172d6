"""A run's sign of life, and its ear for cancellation."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from movierec.errors import MovierecError
from movierec.settings import Settings
from movierec.store import Store, open_store

__all__ = ["Heartbeat"]

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
LOST_SECONDS = 5.0  # work that was interrupted has let go long before
# Not SIGINT: a shell starts background jobs with it ignored, and they would never hear.
_STOP: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGINT)


class Heartbeat:
    """Writes progress to the run's row every second while the work goes on.

    When somebody asks the run to stop it raises KeyboardInterrupt in the main thread, so that
    every kind of work ends the same way as with Ctrl-C; `cancelled` tells the two apart. So it
    does when the run is somebody else's by now, who took this process for dead: `displaced`.

    Python loses an interrupt that comes while it runs a destructor or a weak reference's
    callback. One that the work has not ended of a while later is raised again, Ctrl-C too.
    """

    def __init__(self, settings: Settings, run_id: int) -> None:
        self.settings = settings
        self.run_id = run_id
        self.cancelled = False
        self.displaced = False
        self._before: dict[int, Any] = {}
        self._interrupted_at: float | None = None
        self._now = ("starting", 0.0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def tell(self, stage: str, progress: float) -> None:
        """Say how far the work is, from 0 to 1."""
        self._now = (stage, progress)

    def __enter__(self) -> Self:
        with suppress(ValueError):  # elsewhere than in the main thread nothing can be interrupted
            self._before[_STOP] = signal.signal(_STOP, self._interrupt)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted_at = time.monotonic()
        raise KeyboardInterrupt

    def _interrupt_again(self) -> None:
        at = self._interrupted_at
        if at is not None and time.monotonic() - at > LOST_SECONDS:
            self._interrupted_at = None
            _thread.interrupt_main(_STOP)

    def _beat(self) -> None:
        while True:
            try:
                with open_store(self.settings) as store:
                    return self._write_until_the_end(store)
            except MovierecError:  # it could not be opened; the work has its own connection
                logger.info("run=%d has no heartbeat", self.run_id, exc_info=True)
                if self._ended.wait(BEAT_SECONDS):
                    return None

    def _write_until_the_end(self, store: Store) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(BEAT_SECONDS)
            if not ended:
                self._interrupt_again()
            try:
                self._write(store, listen=not ended)
            except MovierecError:
                # a busy database: the next beat is a second away
                logger.info("run=%d missed a beat", self.run_id, exc_info=True)

    def _write(self, store: Store, *, listen: bool) -> None:
        stage, progress = self._now
        ours = store.runs.beat(self.run_id, progress=progress, stage=stage)
        if not listen or self.cancelled or self.displaced:
            return
        self.displaced = not ours
        self.cancelled = ours and store.runs.cancel_requested(self.run_id)
        if self.displaced or self.cancelled:
            _thread.interrupt_main(_STOP)
