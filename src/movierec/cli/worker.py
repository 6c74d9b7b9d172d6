"""`movierec worker`: do the runs of the queue."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Annotated

import typer

from movierec.jobs.worker import Worker
from movierec.settings import load_settings

__all__ = ["worker"]

_TWICE = 2


def worker(
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Runs at once; default: MOVIEREC_WORKER_SLOTS."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when the queue is empty.")] = False,
) -> None:
    """Take runs from the queue until Ctrl-C, each in a process of its own.

    The first Ctrl-C takes no more runs and waits for those under way, a second one interrupts
    them: they can be resumed. The dashboard starts a worker by itself; this one is for a machine
    of its own that shares the database and the models' folder.
    """
    process = Worker(load_settings(), slots=slots, idle=0.0 if once else None, happened=typer.echo)
    _handle_signals(process)
    if not once:
        typer.echo("Waiting for runs; Ctrl-C ends.")
    process.work()


def _handle_signals(process: Worker) -> None:
    signals = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        process.stop()
        if signals >= _TWICE:
            process.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
