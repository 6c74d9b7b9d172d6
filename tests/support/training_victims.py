"""Trainings in processes of their own that are killed, truly, at a chosen moment.

Started as `python -W error -m tests.support.training_victims`, reads one order per line and
forks a child for each, so that importing torch is paid once. Nothing may warn.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from movierec.runtime import seed_everything
from movierec.training.callbacks import Plan
from tests.support.forking import Victims, forking, serve
from tests.support.sage_cases import RICH, Recorder, fit_version, small

KILLED = -9
CONFIG = small(**{**RICH, "dropout": 0.2, "epochs": 12, "early_stopping_patience": 99})


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute as the other processes do, so that sums are added up in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Order:
    """Train with a checkpoint here; be killed at `moment`.

    Moments: "step E S", "epoch E", "writing E" (between a checkpoint's writing and its renaming)
    or "after SECONDS" from the first step on; "never" trains to the end. With " in F" behind it a
    moment is one of a version's F-th fit, otherwise of the first; writings are counted on.
    """

    checkpoint: str
    moment: str
    members: int = 1
    refit: bool = False


class Killer(Recorder):
    """A hook that kills its own process."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        what, _, fit = moment.partition(" in ")
        self.kind, *self.place = what.split()
        self.fit, self.now = int(fit or 1), 1

    def on_start(self, plan: Plan) -> None:
        self.now = plan.stage.number

    def on_step(self, epoch: int, step: int) -> None:
        if self.kind == "after" and self.now == self.fit and (epoch, step) == (1, 1):
            kill = (os.getpid(), signal.SIGKILL)
            threading.Timer(float(self.place[0]), os.kill, kill).start()
        self.at("step", epoch, step)

    def on_epoch(self, result) -> None:
        self.at("epoch", result.epoch)

    def at(self, kind: str, *place: int) -> None:
        here = (kind, [str(number) for number in place], self.now)
        if here == (self.kind, self.place, self.fit):
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_writing(self) -> None:
        replace, writes = Path.replace, []

        def watched(path: Path, target: Path) -> Path:
            writes.append(path)
            self.at("writing", len(writes))
            return replace(path, target)

        Path.replace = watched  # type: ignore[method-assign]


def work(order: Order) -> None:
    torch.set_num_threads(1)
    killer = Killer(order.moment)
    killer.watch_writing()
    fit_version(
        CONFIG, members=order.members, refit=order.refit,
        hooks=[killer], checkpoint=Path(order.checkpoint), resume=True,
    )  # fmt: skip


def load_what_torch_loads_late() -> None:
    """The first optimizer and the first seed make torch import its compiler, for seconds."""
    seed_everything(0)
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]).zero_grad()


def victims() -> AbstractContextManager[Victims]:
    """Keep a forking process until the block ends."""
    return forking("-W", "error", "-m", "tests.support.training_victims")


if __name__ == "__main__":
    load_what_torch_loads_late()
    serve(Order, work)
