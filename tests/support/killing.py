"""Data work in processes of their own that are killed, truly, at a chosen moment.

Started as `python -m tests.support.killing`, reads one order per line and forks a child
for each, so that the slow imports are paid once.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from movierec.data.formats import text
from movierec.settings import Settings
from movierec.workflows import data
from movierec.workflows.data import fetch_and_import, import_data
from tests.support.forking import Victims, forking, serve


@dataclass(frozen=True)
class Order:
    """Fetch (without a path) or import; be killed `delay` seconds into `stage`.

    With a `block` of so many bytes, every file is read in such blocks and staged; `after` is the
    number of reports of the stage that are survived.
    """

    home: str
    stage: str
    delay: float
    path: str | None = None
    url: str = ""
    block: int = 0
    after: int = 0


def work(order: Order) -> None:
    settings = Settings(home=Path(order.home), device="cpu", ml_100k_url=order.url)
    begun: list[threading.Timer] = []
    reports = iter(range(order.after))
    if order.block:
        text.BLOCK, data.STAGED_FROM = order.block, 0

    def on_progress(stage: str, done: float) -> None:
        if stage.startswith(order.stage) and next(reports, None) is None and not begun:
            if not order.delay:
                os.kill(os.getpid(), signal.SIGKILL)
            begun.append(threading.Timer(order.delay, os.kill, (os.getpid(), signal.SIGKILL)))
            begun[0].start()

    if order.path is None:
        fetch_and_import(settings, on_progress=on_progress)
    else:
        import_data(Path(order.path), settings, on_progress=on_progress)


def victims() -> AbstractContextManager[Victims]:
    """Keep a forking process until the block ends."""
    return forking("-m", "tests.support.killing")


if __name__ == "__main__":
    serve(Order, work)
