"""Texts about a run, from its record and epochs: no Streamlit, no database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from movierec.errors import MovierecError
from movierec.models.graphsage.hyperparameters import PRESETS, hyperparameters
from movierec.registry.names import listed
from movierec.store.records import ACTIVE_STATES, EpochRecord, RunRecord
from movierec.ui.components.text import NOT_MEASURED, decimal, duration, integer

__all__ = ["SIGNS", "again", "facts", "log_tail", "patience_left", "seconds_left", "took", "what"]

SIGNS = {
    "queued": "○ waiting",
    "running": "● running",
    "succeeded": "✓ succeeded",
    "failed": "✕ failed",
    "cancelled": "■ cancelled",
    "interrupted": "! interrupted",
}
_RECENT = 10  # epochs whose median tells how long the next ones take
_LOG_BYTES = 16_384


def what(run: RunRecord) -> str:
    """Return the task of a run, "default on ml-100k"."""
    if run.kind == "import":
        return f"import of {run.dataset_name}"
    if run.kind == "train":
        return f"{run.preset} on {run.dataset_name}"
    if run.kind == "evaluate":
        return f"evaluate {listed(run.request['versions'])} together"
    name = f" {run.request['name']}" if run.request.get("name") else ""
    return f"{run.kind}{name} of {run.preset} on {run.dataset_name}"


def again(run: RunRecord) -> str:
    """Return the label of the button that takes a run up again."""
    if run.kind == "train":
        return f"Resume run {run.id} from its last checkpoint"
    if run.kind == "sweep":
        return f"Resume run {run.id} with the trials that are missing"
    return f"Try run {run.id} again"


def took(run: RunRecord) -> str:
    """Return how long a run took, or has been taking."""
    if run.started_at is None:
        return NOT_MEASURED
    end = run.finished_at or datetime.now(UTC)
    return duration(max(0.0, (end - run.started_at).total_seconds()))


def seconds_left(run: RunRecord, epochs: Sequence[EpochRecord]) -> float:
    """Return how many seconds the fits may still take if none stops early; NaN if unknown."""
    total, fits = int(run.facts.get("epochs", 0)), int(run.facts.get("fits", 1))
    recent = [epoch.seconds for epoch in epochs[-_RECENT:] if math.isfinite(epoch.seconds)]
    if run.state != "running" or not total or not recent:
        return math.nan
    if fits > 1:  # epochs of later fits have no rows: the bar knows
        return _left_of_bar(run)
    return median(recent) * max(0, total - epochs[-1].epoch)


def patience_left(run: RunRecord, epochs: Sequence[EpochRecord]) -> tuple[int, int] | None:
    """Return how many epochs without improvement are left, and of how many; None if unknown."""
    patience = _patience(run)
    if patience is None or not epochs or run.state not in ACTIVE_STATES:
        return None
    best = max((epoch.epoch for epoch in epochs if epoch.is_best), default=0)
    return max(0, patience - (epochs[-1].epoch - best)), patience


def facts(run: RunRecord, epochs: Sequence[EpochRecord]) -> dict[str, str]:
    """Return the state of a run as names and values."""
    seconds = [epoch.seconds for epoch in epochs[-_RECENT:] if math.isfinite(epoch.seconds)]
    left, patience = seconds_left(run, epochs), patience_left(run, epochs)
    memory = epochs[-1].memory_mb if epochs else math.nan
    found = {
        "Epoch": _epoch(run, epochs),
        "Time left": f"at most {duration(left)}" if math.isfinite(left) else "",
        "Per epoch": f"{decimal(median(seconds), 2)} s" if seconds else "",
        "Patience left": f"{patience[0]} of {patience[1]} epochs" if patience else "",
        "Device": str(run.facts.get("device", "")),
        "Engine": _engine(run),
        "Graph": _graph(run),
        "Memory": f"{integer(memory)} MB at most" if math.isfinite(memory) else "",
        "Parameters": integer(run.facts["n_parameters"]) if "n_parameters" in run.facts else "",
        "Measured on": str(run.facts.get("measured_on", "")),
        "Ratings": integer(run.facts["ratings"]) if "ratings" in run.facts else "",
        "Users": integer(run.facts["users"]) if "users" in run.facts else "",
        "Took": took(run) if run.state != "queued" else "",
    }
    return {name: value for name, value in found.items() if value}


def log_tail(run: RunRecord, lines: int = 40) -> str:
    """Return the last lines a run's process wrote; empty if it wrote none."""
    path = Path(run.log_path)
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _engine(run: RunRecord) -> str:
    """Return the engine of a run, "Ray, 4 workers"; empty for one process."""
    engine = run.request.get("engine") or {}
    if engine.get("name") != "ray":
        return ""
    count = run.facts.get("workers", engine.get("workers", 1))
    return f"Ray, {count} worker{'s' * (count != 1)}"


def _graph(run: RunRecord) -> str:
    """Return how much of the graph a step takes, "in 14 parts of users (chosen automatically)"."""
    if "parts" not in run.facts:
        return ""
    parts = run.facts["parts"]
    told = run.request.get("hyperparameters", {}).get("graph_ratings")
    words = "full" if parts == 1 else f"in {parts} parts of users"
    return words if told else f"{words} (chosen automatically)"


def _left_of_bar(run: RunRecord) -> float:
    if run.started_at is None or run.progress <= 0.05:
        return math.nan
    spent = (datetime.now(UTC) - run.started_at).total_seconds()
    return max(0.0, spent / run.progress * (1 - run.progress))


def _epoch(run: RunRecord, epochs: Sequence[EpochRecord]) -> str:
    if not epochs:
        return ""
    total = run.facts.get("epochs")
    return f"{epochs[-1].epoch} of {total}" if total else str(epochs[-1].epoch)


def _patience(run: RunRecord) -> int | None:
    if run.kind != "train" or run.preset not in PRESETS:
        return None
    changes: dict[str, Any] = run.request.get("hyperparameters", {})
    try:
        return hyperparameters(run.preset, **changes).early_stopping_patience
    except MovierecError:
        return None
