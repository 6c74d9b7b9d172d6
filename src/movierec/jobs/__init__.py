"""Runs: rows that describe work, the queue they wait in, and the processes that do it."""

from movierec.jobs.submit import (
    cancel,
    clone,
    move,
    resume,
    set_priority,
    submit_import,
    submit_measure,
    submit_sweep,
    submit_train,
)
from movierec.jobs.worker import ensure_worker

__all__ = [
    "cancel",
    "clone",
    "ensure_worker",
    "move",
    "resume",
    "set_priority",
    "submit_import",
    "submit_measure",
    "submit_sweep",
    "submit_train",
]
