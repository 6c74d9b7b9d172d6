"""Models side by side: the same split, the same evaluation code, a process for each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.errors import EvaluationError
from movierec.evaluation import evaluate
from movierec.models.protocol import Recommender
from movierec.runtime import peak_memory_mb, pick_device, set_threads
from movierec.settings import Settings, load_settings
from movierec.store import open_store
from movierec.training.config import Circumstances
from movierec.workflows.fitting import fit_model
from movierec.workflows.requests import TrainRequest

__all__ = ["benchmark", "measure_row"]

Row = dict[str, Any]
Progress = Callable[[str, float], None]
SCORED_AT_ONCE = 512


def benchmark(
    requests: Sequence[TrainRequest], settings: Settings, *, on_progress: Progress | None = None
) -> list[Row]:
    """Return one row per request, in their order.

    Each is fitted and measured in a process of its own, one after the other, so that its peak
    memory is its own (torch included where the model needs it) and it has all cores. A row has
    model, split, seed, rmse, mae, full, full_4, rated, fit_seconds, predict_seconds,
    peak_memory_mb and parameters; seconds are wall time, "not measured" is null.

    Raises:
        EvaluationError: a model failed; the message holds its error.

    """
    rows = []
    for number, request in enumerate(requests):
        if on_progress is not None:
            label = f"{request.preset}, seed {request.seed}, {request.split.label}"
            on_progress(label, number / len(requests))
        rows.append(_in_own_process(request, settings))
    return rows


def _in_own_process(request: TrainRequest, settings: Settings) -> Row:
    job = {"request": request.model_dump(mode="json"), "settings": settings.model_dump(mode="json")}
    command = [sys.executable, "-m", "movierec.workflows.benchmark"]
    done = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EvaluationError(f"{request.preset} failed: {lines[-1]}")
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def measure_row(request: TrainRequest, settings: Settings) -> Row:
    """Fit and measure one model in this process."""
    set_threads(settings.threads)
    with open_store(settings) as store:
        dataset = store.datasets.load(request.dataset)
    split = make_split(dataset, request.split)
    device = str(pick_device(request.device or settings.device)) if request.is_graphsage else "cpu"
    started = time.perf_counter()
    fitted = fit_model(request, dataset, split, Circumstances(device=device, seed=request.seed))
    fit_seconds = time.perf_counter() - started
    predict_seconds = _predict(fitted.recommender, dataset, split)
    peak = peak_memory_mb()
    found = evaluate(fitted.recommender, dataset, split)
    return {
        "model": request.preset,
        "split": request.split.name,
        "seed": request.seed,
        **found.metrics(),
        "fit_seconds": round(fit_seconds, 3),
        "predict_seconds": round(predict_seconds, 3),
        "peak_memory_mb": round(peak, 1),
        "parameters": fitted.parameters,
        "best_epoch": fitted.best_epoch,
        "hyperparameters": fitted.hyperparameters,
        "protocol": found.as_dict()["protocol"],
    }


def _predict(model: Recommender, dataset: Dataset, split: Split) -> float:
    """Return the seconds for every test rating and every movie's score for each test user."""
    started = time.perf_counter()
    if len(split.support):
        model = model.observe(dataset.ratings.take(split.support))
    test = dataset.ratings.take(split.test)
    model.predict(test.user, test.movie)
    users = np.unique(test.user)
    for first in range(0, len(users), SCORED_AT_ONCE):
        model.score(users[first : first + SCORED_AT_ONCE])
    return time.perf_counter() - started


def _main() -> None:
    job = json.loads(sys.stdin.read())
    row = measure_row(TrainRequest.of(**job["request"]), load_settings(**job["settings"]))
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    _main()
