"""Batches of lists in processes of their own that are killed, truly, at a chosen rename.

Started as `python -m tests.support.batch_victims`, reads one order per line and forks a
child for each, so that the slow imports are paid once.
"""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movierec.export.lists import export_lists
from movierec.inference import load_version
from movierec.inference.batch import Options
from movierec.settings import Settings
from tests.support.forking import Victims, forking, serve


@dataclass(frozen=True)
class Order:
    """Export the current version's lists; be killed before the `renames`-th rename, 0 for never.

    What is written becomes real by renames alone: the state, a table per block, the file.
    """

    home: str
    out: str
    renames: int
    k: int
    block: int


def kill_before_rename(number: int) -> None:
    """Make the `number`-th rename from now on the moment this process is killed at."""
    replace, left = Path.replace, [number]

    def counted(path: Path, target: Any) -> Path:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    Path.replace = counted  # type: ignore[method-assign]


def work(order: Order) -> None:
    version = load_version("current", Settings(home=Path(order.home), device="cpu"))
    kill_before_rename(order.renames)
    export_lists(version, Path(order.out), Options(order.k), block=order.block)


def victims() -> AbstractContextManager[Victims]:
    """Keep a forking process until the block ends."""
    return forking("-m", "tests.support.batch_victims")


if __name__ == "__main__":
    serve(Order, work)
