"""Following a run in the terminal: how far it is and the curve of its validation RMSE."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from movierec.cli.output import number
from movierec.store import ACTIVE_STATES, EpochRecord, RunRecord, Store

__all__ = ["follow", "followed", "sparkline"]

POLL_SECONDS = 1.0  # how often a worker writes
BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 60  # epochs in the curve


def follow(store: Store, run_id: int, console: Console) -> tuple[RunRecord, list[EpochRecord]]:
    """Draw a run until it ends; return it and its epochs as they are then."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            store.runs.mark_interrupted()
            run, epochs = store.runs.get(run_id), store.runs.epochs(run_id)
            if run.state not in ACTIVE_STATES:
                return run, epochs
            live.update(_drawn(run, epochs), refresh=True)
            time.sleep(POLL_SECONDS)


def followed(store: Store, run_id: int) -> Iterator[str]:
    """Yield what a run's process writes as it comes, until the run has ended."""
    read = 0
    while True:
        store.runs.mark_interrupted()
        run = store.runs.get(run_id)
        path = Path(run.log_path)
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as log:
                log.seek(read)
                yield log.read()
                read = log.tell()
        if run.state not in ACTIVE_STATES:
            return
        time.sleep(POLL_SECONDS)


def sparkline(values: Sequence[float]) -> str:
    """Return the last values as blocks, the lowest the smallest; a blank where it is NaN."""
    shown = values[-WIDEST:]
    known = [value for value in shown if not math.isnan(value)]
    low, spread = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    return "".join(_block(value, low, spread) for value in shown)


def _block(value: float, low: float, spread: float) -> str:
    if math.isnan(value):
        return " "
    share = (value - low) / spread if spread else 0.0
    return BLOCKS[round(share * (len(BLOCKS) - 1))]


def _drawn(run: RunRecord, epochs: Sequence[EpochRecord]) -> RenderableType:
    state = run.stage or "starting" if run.state == "running" else "its process is starting"
    head = Text(f"Run {run.id}: {run.preset or run.kind} on {run.dataset_name}, {state}")
    bar = ProgressBar(total=1.0, completed=run.progress, width=40)
    if not epochs:
        return Group(head, bar)
    curve = sparkline([item.val_rmse for item in epochs])
    last = f" {number(epochs[-1].val_rmse)} after epoch {epochs[-1].epoch}"
    return Group(head, bar, Text("Validation RMSE ") + Text(curve, style="cyan") + Text(last))
