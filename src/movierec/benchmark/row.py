"""One fit of the benchmark, measured in a process of its own.

The process reads a job from the first line of stdin and writes its rows to stdout.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from movierec.data.splits import Split, make_split
from movierec.errors import MovierecError, SplitError
from movierec.evaluation import Evaluation, evaluate
from movierec.metadata import VersionMetadata
from movierec.models.protocol import Recommender
from movierec.plain import plain
from movierec.registry import Registry
from movierec.runtime import Stopwatch, peak_memory_mb
from movierec.settings import Settings, load_settings
from movierec.store import Store, open_store
from movierec.workflows.baselines import measured_baselines
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.train import fit_model, prepare
from movierec.workflows.version import Fitted, Training, version_draft

__all__ = ["ROW_KEYS", "Row", "label_of", "measure_rows"]

Row = dict[str, Any]
ROW_KEYS = (
    "model", "split", "seed", "rmse", "mae", "full", "full_4", "rated",
    "fit_seconds", "predict_seconds", "peak_memory_mb", "parameters",
)  # fmt: skip
MEASURED = ("rmse", "mae", "full", "full_4", "rated")
SCORED_AT_ONCE = 512
SLOW_IMPORTS = {"lightgcn": "torch_geometric.nn.models"}  # seconds that are not the fit's


def label_of(request: TrainRequest) -> str:
    """Return what tells a training from others: "default, 5 members, epochs=60"."""
    changes = [f"{name}={value}" for name, value in request.hyperparameters.items()]
    return ", ".join([request.label, *changes])


def measure_rows(requests: Sequence[TrainRequest], settings: Settings) -> list[Row]:
    """Fit the first request in this process and measure it on the split of each.

    A row has the twelve keys of `ROW_KEYS`, which readers of the rows' JSON rely on, and:
    `split_label`; `whole_seconds`, from loading the data set to the version stored, which is
    the sum of `stages`; `best_epoch` and `validation`, what picked it; `device`; `dataset` and
    its `fingerprint`; `test_sha256`; `request`; `hyperparameters`, the preset's included.

    Seconds are wall time without the start of Python and its imports, memory is the largest of
    this process up to the predictions in MiB, "not measured" is None. `predict_seconds` is for
    every test rating and every movie's score for each test user, and no part of the whole.

    Raises:
        SplitError: the requests do not share their train and validation part.

    """
    trainings, fitted, stages = _fitted(requests, settings)
    seconds = [_predict(fitted.recommender, training) for training in trainings]
    peak = peak_memory_mb()
    rows = []
    with _scratch(settings) as (scratch, store):
        for training, predict_seconds in zip(trainings, seconds, strict=True):
            watch = Stopwatch(stages)
            found = _stored(training, fitted, watch, scratch, store)
            row = _row(training, fitted, found, watch)
            rows.append(
                row | {"predict_seconds": predict_seconds, "peak_memory_mb": round(peak, 1)}
            )
    return rows


def _fitted(
    requests: Sequence[TrainRequest], settings: Settings
) -> tuple[list[Training], Fitted, Mapping[str, float]]:
    """Fit the first request; return the trainings of all, the model, and the seconds by stage."""
    first = prepare(requests[0], settings)
    trainings = [first]
    for request in requests[1:]:
        split = make_split(first.dataset, request.split)
        trainings.append(replace(first, request=request, split=split))
    _require_shared([training.split for training in trainings])
    if first.request.preset in SLOW_IMPORTS:
        import_module(SLOW_IMPORTS[first.request.preset])
    watch = Stopwatch(first.seconds)
    with watch.stage("fit"):
        fitted = fit_model(first)
    return trainings, fitted, watch.seconds


def _require_shared(splits: Sequence[Split]) -> None:
    first = splits[0]
    for split in splits[1:]:
        shared = np.array_equal(split.train, first.train)
        if not (shared and np.array_equal(split.validation, first.validation)):
            raise SplitError(
                f"One fit cannot serve {first.spec.label} and {split.spec.label}: their train "
                "parts differ.",
                hint="Measure them one by one.",
            )


@contextmanager
def _scratch(settings: Settings) -> Iterator[tuple[Settings, Store]]:
    """Open a project in a temporary folder: nothing of the user's is written."""
    with tempfile.TemporaryDirectory(prefix="movierec-benchmark-") as folder:
        places = {name: Path(name) for name in ("data_dir", "models_dir", "runs_dir")}
        changed = {"home": Path(folder), "database_url": "", "artifacts_url": "", **places}
        scratch = settings.model_copy(update=changed)
        with open_store(scratch) as store:
            yield scratch, store


def _stored(
    training: Training, fitted: Fitted, watch: Stopwatch, scratch: Settings, store: Store
) -> Evaluation:
    """Evaluate and save a version in the scratch project, as a training does after its fit."""
    with watch.stage("evaluate"):
        found = evaluate(fitted.recommender, training.dataset, training.split)
    with watch.stage("floors"):
        facts = {"evaluation": found.as_dict(), "slices": found.slice_rows()}
        facts["floors"] = measured_baselines(training.dataset, training.split, scratch)
    with watch.stage("save"):
        metadata = VersionMetadata.of({**facts, **fitted.facts})
        draft = replace(version_draft(training, fitted, found), metadata=metadata)
        Registry(scratch, store).save(draft)
    return found


def _row(training: Training, fitted: Fitted, found: Evaluation, watch: Stopwatch) -> Row:
    request, split, measured = training.request, training.split, found.metrics()
    empty = dict.fromkeys(ROW_KEYS)  # keeps their order
    return empty | {
        "model": label_of(request),
        "split": split.spec.name,
        "seed": request.seed,
        **{name: measured[name] for name in MEASURED},
        "without_time": plain(found.without_time),
        "fit_seconds": watch.seconds["fit"],
        "parameters": fitted.parameters,
        "split_label": split.spec.label,
        "whole_seconds": watch.total,
        "stages": watch.seconds,
        "best_epoch": fitted.best_epoch,
        "validation": plain(fitted.metrics),
        "device": fitted.device,
        "dataset": training.dataset.name,
        "fingerprint": training.dataset.fingerprint,
        "test_sha256": split.sha256,
        "request": request.model_dump(mode="json"),
        "hyperparameters": full_hyperparameters(request),
    }


def _predict(model: Recommender, training: Training) -> float:
    ratings, split = training.dataset.ratings, training.split
    started = time.perf_counter()
    if len(split.support):
        model = model.with_interactions(ratings.take(split.support))
    test = ratings.take(split.test)
    model.predict(test.user, test.movie)
    users = np.unique(test.user)
    for first in range(0, len(users), SCORED_AT_ONCE):
        model.score(users[first : first + SCORED_AT_ONCE])
    return round(time.perf_counter() - started, 3)


def _leave_with_parent() -> None:
    """End this process when stdin closes: a killed benchmark must not leave a fit running."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _main() -> int:
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    requests = [TrainRequest.of(**request) for request in job["requests"]]
    try:
        rows = measure_rows(requests, load_settings(**job["settings"]))
    except MovierecError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
