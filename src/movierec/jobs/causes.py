"""Why a run ended badly, in plain words, and what to change. Imports no torch: pages call this."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from movierec.store import RunRecord
from movierec.store.runs import LOST

__all__ = ["Advice", "advice"]


@dataclass(frozen=True)
class Advice:
    """What happened to a run, and what to do before it is tried again; both whole sentences."""

    cause: str
    change: str


@dataclass(frozen=True)
class _Known:
    """A failure that is told by what its exception says."""

    sign: re.Pattern[str]
    cause: str
    change: str

    def advice(self, run: RunRecord) -> Advice:
        return Advice(self.cause.format(run=run), self.change.format(run=run))


def _known(sign: str, cause: str, change: str) -> _Known:
    return _Known(re.compile(sign, re.IGNORECASE), cause, change)


_SMALLER = "Choose a smaller model (lower hidden_dim, num_layers or sampled_movies)"
# The first that fits counts: a full disk, say, is also a database that cannot be used.
_KNOWN = (
    _known(
        r"\bOutOfMemoryError\b|CUDA out of memory|MPS backend out of memory|CUBLAS_STATUS_ALLOC",
        "The model did not fit into the graphics card's memory.",
        f"{_SMALLER}, end other programs that use the card, or train on the CPU.",
    ),
    _known(
        r"\b_?(?:Array)?MemoryError\b|DefaultCPUAllocator|cannot allocate memory|bad_alloc",
        "The machine ran out of memory.",
        f"{_SMALLER}, end other programs, or run one thing at a time (MOVIEREC_WORKER_SLOTS=1).",
    ),
    _known(
        r"\bNonFiniteError\b|loss became",
        "The numbers blew up: a loss, score or weight became NaN or infinite.",
        "Lower learning_rate (a third is a good first step) or set gradient_clip to 1.",
    ),
    _known(
        r"no space left|disk is full|disk quota exceeded",
        "The disk is full.",
        "Make space where its message says, then resume the run: what it had done is kept. "
        "`movierec runs prune` drops old checkpoints, `movierec versions delete` a version.",
    ),
    _known(
        r"read-only file system|readonly database|permission denied|operation not permitted",
        "A folder or file may not be written.",
        "Make the one that its message names writable for whoever runs movierec, then resume the "
        "run: what it had done is kept.",
    ),
    _known(
        r"database is locked|database table is locked",
        "Another program held the database for too long.",
        "End that program (a database browser with unsaved changes, a backup), then resume the "
        "run: what it had done is kept.",
    ),
    _known(
        r"connection (?:refused|failed|timed out|is closed)|server closed the connection|"
        r"could not connect|disk i/o|unable to open database|no such table|malformed",
        "The database could not be used.",
        "Check that it is there and answers (`movierec doctor`), then resume the run.",
    ),
    _known(
        r"there is no data set (?!.* to fetch)",
        "The data set {run.dataset_name} is gone: somebody deleted it before the run could use it.",
        "Import it again under the same name, then resume the run; or start one on another "
        "data set.",
    ),
    _known(
        r"offers torch no|no device called|no cuda gpus|found no nvidia driver|"
        r"cuda error|invalid device ordinal|device-side assert",
        "The device it was to train on is missing or does not work.",
        "Choose the device auto or cpu; `movierec doctor` shows what this machine has.",
    ),
    _known(
        r"the checkpoint .* (?:cannot be read|is of other)",
        "Its checkpoint is damaged or belongs to another model.",
        "Start the training again: `movierec runs clone {run.id}` queues the same one anew.",
    ),
    _known(
        r"its process could not start",
        "Its process could not be started.",
        "Check free memory, disk space and the limit of processes, then try it again.",
    ),
)  # fmt: skip
_GONE = Advice(
    "Its process was gone from one moment to the next: the machine ran out of memory and the "
    "system ended it, somebody killed it, or the machine was shut down.",
    "Resume it: it goes on from the last whole epoch. If it ends so again, watch the memory and "
    "lower hidden_dim, num_layers or sampled_movies.",
)

_ANEW = (
    "Try it again: it starts from the beginning, and nothing of it was kept. If it ends so again, "
    "watch the memory."
)


def advice(run: RunRecord) -> Advice | None:
    """Say why a failed run failed and what to change; None for a run that did not fail.

    A run whose process vanished is told what may have happened; nobody knows.
    """
    if run.state == "interrupted" and run.error == LOST:
        return _GONE if run.kind in ("train", "sweep") else replace(_GONE, change=_ANEW)
    if run.state != "failed":
        return None
    said = _said(run)
    found = next((known for known in _KNOWN if known.sign.search(said)), None)
    return _foreign(run) if found is None else found.advice(run)


def _said(run: RunRecord) -> str:
    """Return what the exceptions said, without the lines of code that a traceback quotes."""
    lines = (line for line in run.traceback.splitlines() if not line.startswith(" "))
    return "\n".join([run.error, *lines])


def _foreign(run: RunRecord) -> Advice:
    log = f"the whole story is in its log: `movierec runs logs {run.id}`"
    if "movierec.errors." in run.traceback:  # one of our own sentences, which says what to do
        return Advice(run.error, f"What to do is said there; {log}.")
    return Advice(
        "Something happened that movierec did not foresee.",
        f"Look at the traceback; {log}. Changing nothing and resuming helps if it was a whim of "
        "the machine.",
    )
