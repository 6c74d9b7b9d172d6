"""Models side by side: the same split, the same evaluation code, a process for each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.errors import EvaluationError, MovierecError
from movierec.evaluation import evaluate
from movierec.models.protocol import Recommender
from movierec.progress import Progress, silent
from movierec.runtime import peak_memory_mb
from movierec.settings import Settings, load_settings
from movierec.store import open_store
from movierec.workflows.fitting import fit_model
from movierec.workflows.requests import TrainRequest
from movierec.workflows.train import circumstances_of, prepared

__all__ = ["benchmark", "measure_row"]

Row = dict[str, Any]
SCORED_AT_ONCE = 512


def benchmark(
    requests: Sequence[TrainRequest], settings: Settings, *, on_progress: Progress | None = None
) -> list[Row]:
    """Return one row per request, in their order.

    Each is fitted and measured in a process of its own, one after the other, so that its peak
    memory is its own (torch included where the model needs it) and it has all cores.

    Raises:
        HyperparameterError, NotFoundError, SplitError, SettingsError: one of the requests cannot
            be done; then none is.
        EvaluationError: a model failed; the message holds its error.

    """
    tell = on_progress or silent
    ready = [prepared(request, settings) for request in requests]
    rows = []
    for number, request in enumerate(ready):
        tell(f"{request.preset}, seed {request.seed}, {request.split.label}", number / len(ready))
        rows.append(_in_own_process(request, settings))
    return rows


def _in_own_process(request: TrainRequest, settings: Settings) -> Row:
    job = {"request": request.model_dump(mode="json"), "settings": settings.model_dump(mode="json")}
    command = [sys.executable, "-m", "movierec.workflows.benchmark"]
    done = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EvaluationError(
            f"{request.preset}, seed {request.seed}, failed: {_cause(done)}",
            hint="Leave it out of --models to compare the others.",
        )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def _cause(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"its process was ended by {name}, perhaps for want of memory."
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"its process ended with exit code {done.returncode}."


def measure_row(request: TrainRequest, settings: Settings) -> Row:
    """Fit and measure one model in this process.

    A row has exactly model, split, seed, rmse, mae, full, full_4, rated, fit_seconds,
    predict_seconds, peak_memory_mb and parameters: what readers of the JSON file rely on.
    Seconds are wall time, memory is in MiB, "not measured" is None. `predict_seconds` is for
    every test rating and every movie's score for each test user.
    """
    with open_store(settings) as store:
        dataset = store.datasets.load(request.dataset)
    split = make_split(dataset, request.split)
    circumstances = circumstances_of(request, settings)
    started = time.perf_counter()
    fitted = fit_model(request, dataset, split, circumstances)
    fit_seconds = time.perf_counter() - started
    predict_seconds = _predict(fitted.recommender, dataset, split)
    peak = peak_memory_mb()
    found = evaluate(fitted.recommender, dataset, split).metrics()
    return {
        "model": request.preset,
        "split": request.split.name,
        "seed": request.seed,
        **{name: found[name] for name in ("rmse", "mae", "full", "full_4", "rated")},
        "fit_seconds": round(fit_seconds, 3),
        "predict_seconds": round(predict_seconds, 3),
        "peak_memory_mb": round(peak, 1),
        "parameters": fitted.parameters,
    }


def _predict(model: Recommender, dataset: Dataset, split: Split) -> float:
    started = time.perf_counter()
    if len(split.support):
        model = model.observe(dataset.ratings.take(split.support))
    test = dataset.ratings.take(split.test)
    model.predict(test.user, test.movie)
    users = np.unique(test.user)
    for first in range(0, len(users), SCORED_AT_ONCE):
        model.score(users[first : first + SCORED_AT_ONCE])
    return time.perf_counter() - started


def _main() -> int:
    job = json.loads(sys.stdin.read())
    try:
        row = measure_row(TrainRequest.of(**job["request"]), load_settings(**job["settings"]))
    except MovierecError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
