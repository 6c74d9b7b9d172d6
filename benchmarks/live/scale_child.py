"""One measurement at one size in a process of its own, which alone its peak of memory is.

python benchmarks/live/scale_child.py WORK '{"home": "…", "name": "ml-1m", …}'

The result is the last line of the output, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from movierec.data.synthetic.write import synthesize
from movierec.runtime import peak_memory_mb
from movierec.settings import Settings
from movierec.training.callbacks import EpochResult, Plan
from movierec.workflows.data import import_data, load_dataset

SEED = 1  # of the made-up ratings
FEWEST_STEPS, MOST_STEPS = 4, 60
FEWEST_TURNS, TURNING_SECONDS = 7, 1.0
MEGABYTE = 1e6


@dataclass(frozen=True)
class Task:
    """What one process is to measure: a data set in a project, and what else its work asks for."""

    home: Path
    name: str
    told: dict[str, Any]

    @property
    def settings(self) -> Settings:
        """Settings of the project."""
        return Settings(home=self.home)


class _Enough(Exception):  # noqa: N818  nothing went wrong
    """Ends a training whose steps have been measured."""


@dataclass
class Steps:
    """Watches a training: wall seconds of each step and of each epoch's end, then ends it.

    CPU seconds, of all threads, tell how much is computed on a machine that has other work.
    """

    patience: float
    plan: Plan | None = None
    steps: list[float] = field(default_factory=list)
    validations: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    _mark: tuple[float, float] = (0.0, 0.0)

    def on_start(self, plan: Plan) -> None:
        """Start the clock."""
        self.plan, self._mark = plan, _now()

    def on_step(self, epoch: int, step: int) -> None:  # noqa: ARG002
        """Keep the seconds of a step."""
        wall, cpu = self._passed()
        self.steps.append(wall)
        self.cpu.append(cpu)
        if len(self.steps) >= MOST_STEPS:
            raise _Enough

    def on_epoch(self, result: EpochResult) -> None:  # noqa: ARG002
        """Keep the seconds of the validation."""
        self.validations.append(self._passed()[0])
        if len(self.steps) >= FEWEST_STEPS and sum(self.steps) > self.patience:
            raise _Enough

    def _passed(self) -> tuple[float, float]:
        (wall, cpu), self._mark = self._mark, _now()
        return self._mark[0] - wall, self._mark[1] - cpu

    def as_dict(self) -> dict[str, Any]:
        """Return seconds of a step, of a pass over the train ratings and of a validation.

        The first step, which also makes what the others use again, is left out.
        """
        assert self.plan is not None
        steps, cpu = (seconds[1:] or seconds for seconds in (self.steps, self.cpu))
        step = sum(steps) / len(steps)
        ends = self.validations
        return {
            "step": step,
            "steps": len(steps),
            "steps_per_pass": self.plan.steps_per_epoch,
            "pass": step * self.plan.steps_per_epoch,
            "cpu": sum(cpu) / len(cpu) * self.plan.steps_per_epoch,
            "validation": sum(ends) / len(ends) if ends else None,
            "parameters": self.plan.n_parameters,
        }


def made(task: Task) -> dict[str, Any]:
    """Write the files of the data set."""
    with _clock() as seconds:
        found = synthesize(task.name, SEED, Path(task.told["folder"]))
    return {"seconds": seconds[0], "ratings": found.ratings}


def imported(task: Task) -> dict[str, Any]:
    """Import from files into the project's database."""
    settings = task.settings
    with _clock() as seconds:
        outcome = import_data(Path(task.told["folder"]), settings, name=task.name)
    path = settings.database_path
    return {
        "seconds": seconds[0], "stages": dict(outcome.report.seconds),
        "ratings": outcome.record.n_ratings, "users": outcome.record.n_users,
        "movies": outcome.record.n_movies, "files_mb": _size(Path(task.told["folder"])),
        "database_mb": None if path is None else _size(path),
        "snapshot_mb": _size(settings.data_path) - (0.0 if path is None else _size(path)),
    }  # fmt: skip


def opened(task: Task) -> dict[str, Any]:
    """Open the data set as training and pages do."""
    with _clock() as seconds:
        dataset = load_dataset(task.name, task.settings)
    return {"seconds": seconds[0], "ratings": dataset.n_ratings}


def trained(task: Task) -> dict[str, Any]:
    """Take some steps of a training, with what must be done before the first."""
    from movierec.workflows.requests import TrainRequest
    from movierec.workflows.train import fit_model, prepare

    settings, watch = task.settings, Steps(task.told["patience"])
    request = TrainRequest.of(dataset=task.name, hyperparameters=task.told["hyperparameters"])
    with _clock() as before:
        training = prepare(request, settings)
        dataset, split = training.dataset, training.split
    with _clock() as fitting, suppress(_Enough):
        fit_model(training, hooks=[watch])
    found = watch.as_dict()
    return {
        **found, **_model(task), "ratings": dataset.n_ratings, "train": len(split.train),
        "users": dataset.n_users, "movies": dataset.n_movies,
        "before": before[0] + fitting[0] - sum(watch.steps) - sum(watch.validations),
        "per_rating": found["pass"] / len(split.train),
    }  # fmt: skip


def whole(task: Task) -> dict[str, Any]:
    """Train, evaluate on the test part and keep a version, as `movierec train` does."""
    from movierec.errors import MovierecError
    from movierec.workflows.requests import TrainRequest
    from movierec.workflows.train import prepare, train

    preset = task.told.get("preset", "default")
    request = TrainRequest.of(
        preset=preset, dataset=task.name, hyperparameters=task.told["hyperparameters"]
    )
    try:
        with _clock() as seconds:
            version = train(prepare(request, task.settings), task.settings)
    except MovierecError as error:
        return {"refused": str(error)}
    facts, measured = version.metadata, version.metadata.evaluation
    return {
        "seconds": seconds[0], "stages": facts.durations.as_dict(), "epochs": facts.epochs_trained,
        "rmse": measured.rmse, "test": measured.n_ratings, "ratings": facts.num_ratings,
    }  # fmt: skip


def product(task: Task) -> dict[str, Any]:
    """Multiply the graph's two layouts with states, and copy memory in between."""
    import torch

    import movierec.models.graphsage.sparse  # noqa: F401  defines the operator
    from movierec.graph import RatingGraph

    dataset, width = load_dataset(task.name, task.settings), int(task.told["width"])
    graph = RatingGraph.build(dataset.ratings, dataset.n_users, dataset.n_movies)
    ones = torch.ones(graph.n_edges)
    found: dict[str, Any] = {"ratings": graph.n_edges, "width": width}
    copies = [_copy_speed(torch)]
    for name, rows in (("to_users", graph.by_user), ("to_movies", graph.by_movie)):
        states = torch.randn(rows.n_columns, width)
        seconds = _best(
            lambda rows=rows, states=states: torch.ops.movierec.spmm(
                rows.pointer, rows.column, ones, states
            )
        )
        per_edge = 4 * width + rows.column.element_size() + ones.element_size()
        found[name] = {"seconds": seconds, "gb_s": graph.n_edges * per_edge / seconds / 1e9}
        copies.append(_copy_speed(torch))
    index_bytes = graph.by_user.column.element_size()
    threads = torch.get_num_threads()
    return {**found, "copy_gb_s": max(copies), "threads": threads, "index_bytes": index_bytes}


def _copy_speed(torch: Any) -> float:
    """Return GB/s, read and written, of copying more than any cache holds."""
    source = torch.ones(64 * 2**20)
    target = torch.empty_like(source)
    return 2 * 4 * len(source) / _best(lambda: target.copy_(source)) / 1e9


def _best(work: Callable[[], Any]) -> float:
    """Return the fewest seconds of several turns: what else the machine does only adds to them."""
    found: list[float] = []
    while len(found) < FEWEST_TURNS or sum(found) < TURNING_SECONDS:
        with _clock() as seconds:
            work()
        found.append(seconds[0])
    return min(found)


def _model(task: Task) -> dict[str, int]:
    from movierec.models.graphsage.hyperparameters import hyperparameters

    config = hyperparameters("default", **task.told["hyperparameters"])
    names = ("hidden_dim", "num_layers", "graph_ratings")
    return {name: getattr(config, name, 0) for name in names}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


@contextmanager
def _clock() -> Iterator[list[float]]:
    started, seconds = time.perf_counter(), [0.0]
    yield seconds
    seconds[0] = time.perf_counter() - started


def _size(path: Path) -> float:
    """Return the MB of a file, SQLite's log beside it included, or of all files of a folder."""
    files = path.parent.glob(f"{path.name}*") if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / MEGABYTE


def peak_mb() -> float:
    """Return the largest resident memory of this process, memory-mapped files included, in MiB.

    What Linux tells as `ru_maxrss` includes the process that started this one.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return peak_memory_mb()


WORKS: dict[str, Callable[[Task], dict[str, Any]]] = {
    "made": made, "imported": imported, "opened": opened, "trained": trained, "whole": whole,
    "product": product,
}  # fmt: skip


def main() -> int:
    """Do the work that is named and print what was found."""
    work, told = sys.argv[1], json.loads(sys.argv[2])
    task = Task(Path(told.pop("home")), told.pop("name"), told)
    found = WORKS[work](task)
    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())
    print(json.dumps({**found, "peak_mb": peak_mb(), "omp_threads": int(threads)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
