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
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.errors import MovierecError, SplitError
from movierec.evaluation import Evaluation, evaluate
from movierec.evaluation.result import json_safe
from movierec.models.protocol import Recommender
from movierec.registry import Registry, VersionDraft
from movierec.runtime import peak_memory_mb
from movierec.settings import Settings, load_settings
from movierec.store import Store, open_store
from movierec.workflows.baselines import measured_floors
from movierec.workflows.fit import Fitted, fit_model
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.train import training_options

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
    job = _fitted(requests, settings)
    seconds = [_predict(job.fitted.recommender, job.dataset, split) for split in job.splits]
    peak = peak_memory_mb()
    rows = []
    with _scratch(settings) as (scratch, store):
        for request, split, predict_seconds in zip(requests, job.splits, seconds, strict=True):
            clock = _Clock(dict(job.stages))
            found = _stored(request, job, split, clock, scratch, store)
            row = _row(request, job, split, found, clock)
            rows.append(
                row | {"predict_seconds": predict_seconds, "peak_memory_mb": round(peak, 1)}
            )
    return rows


@dataclass
class _Clock:
    """Seconds of wall time per stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)


@dataclass(frozen=True, eq=False)
class _Job:
    """A fitted model and the splits it is measured on, which share their train part."""

    dataset: Dataset
    splits: Sequence[Split]
    fitted: Fitted
    stages: Mapping[str, float]


def _fitted(requests: Sequence[TrainRequest], settings: Settings) -> _Job:
    first, clock = requests[0], _Clock()
    options = training_options(first, settings)
    with open_store(settings) as store, clock.stage("load"):
        dataset = store.datasets.load(first.dataset)
    with clock.stage("split"):
        split = make_split(dataset, first.split)
    others = [make_split(dataset, request.split) for request in requests[1:]]
    _require_shared([split, *others])
    if first.preset in SLOW_IMPORTS:
        import_module(SLOW_IMPORTS[first.preset])
    with clock.stage("fit"):
        fitted = fit_model(first, dataset, split, options)
    return _Job(dataset, [split, *others], fitted, clock.seconds)


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
    request: TrainRequest, job: _Job, split: Split, clock: _Clock, scratch: Settings, store: Store
) -> Evaluation:
    """Do what `workflows.train` does after the fit, in the scratch project."""
    with clock.stage("evaluate"):
        found = evaluate(job.fitted.recommender, job.dataset, split)
    with clock.stage("floors"):
        facts = {"evaluation": found.as_dict(), "slices": found.slice_rows()}
        facts["floors"] = measured_floors(job.dataset, split, scratch)
    with clock.stage("save"):
        told = job.fitted.recommender.with_interactions(job.dataset.ratings.take(split.support))
        frames = {"per_user.parquet": found.per_user, "per_rating.parquet": found.per_rating}
        draft = VersionDraft(
            model=job.fitted.kind,
            preset=request.preset,
            dataset_name=job.dataset.name,
            fingerprint=job.dataset.fingerprint,
            split_label=split.spec.label,
            metadata={**facts, **job.fitted.facts},
            files={**job.fitted.files, **{name: f.to_parquet for name, f in frames.items()}},
            arrays=told.arrays(),
            parameters=job.fitted.parameters,
        )
        Registry(scratch, store).save(draft)
    return found


def _row(request: TrainRequest, job: _Job, split: Split, found: Evaluation, clock: _Clock) -> Row:
    measured, fitted = found.metrics(), job.fitted
    empty = dict.fromkeys(ROW_KEYS)  # keeps their order
    return empty | {
        "model": label_of(request),
        "split": split.spec.name,
        "seed": request.seed,
        **{name: measured[name] for name in MEASURED},
        "without_time": json_safe(found.without_time),
        "fit_seconds": clock.seconds["fit"],
        "parameters": fitted.parameters,
        "split_label": split.spec.label,
        "whole_seconds": round(sum(clock.seconds.values()), 3),
        "stages": clock.seconds,
        "best_epoch": fitted.best_epoch,
        "validation": json_safe(fitted.metrics),
        "device": fitted.device,
        "dataset": job.dataset.name,
        "fingerprint": job.dataset.fingerprint,
        "test_sha256": split.sha256,
        "request": request.model_dump(mode="json"),
        "hyperparameters": full_hyperparameters(request),
    }


def _predict(model: Recommender, dataset: Dataset, split: Split) -> float:
    started = time.perf_counter()
    if len(split.support):
        model = model.with_interactions(dataset.ratings.take(split.support))
    test = dataset.ratings.take(split.test)
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
