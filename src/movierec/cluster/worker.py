"""What Ray runs for a training: its workers, and the trainer that starts and ends them."""

from __future__ import annotations

import logging
import platform
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import TorchTrainer, get_device

from movierec.data.splits import make_split
from movierec.errors import DataError, MovierecError
from movierec.runtime import set_threads
from movierec.settings import Settings
from movierec.store import open_store
from movierec.training.callbacks import EpochResult, Plan
from movierec.training.distributed.group import TorchGroup
from movierec.training.fit import EnsembleFit
from movierec.training.options import TrainingOptions
from movierec.workflows.requests import TrainRequest
from movierec.workflows.train import fit_here
from movierec.workflows.version import Training

__all__ = ["EndableTrainer", "Task", "work"]

STEP_SECONDS = 0.5  # between two steps that are told of


@dataclass(frozen=True)
class Task:
    """What every worker is asked to do; `fingerprint` is of the data it must have."""

    settings: Settings
    request: TrainRequest
    fingerprint: str
    options: TrainingOptions
    post: Any


def work(config: dict[str, Task]) -> EnsembleFit:
    """Fit as one of several workers; of a finished fit the features stay behind."""
    task, group = config["task"], TorchGroup()
    handler = _Forward(task.post, group.rank)
    logger = logging.getLogger("movierec")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _light(_fitted(task, group, Path(folder)))
    except MovierecError as error:
        # Ray would try again; what is wrong now would be wrong then
        ray.get(task.post.put.remote("on_error", error))
        raise
    finally:
        logger.removeHandler(handler)


def _fitted(task: Task, group: TorchGroup, folder: Path) -> EnsembleFit:
    set_threads(task.settings.threads or 1)
    with open_store(task.settings) as store:
        dataset = store.datasets.load(task.request.dataset)
    if dataset.fingerprint != task.fingerprint:
        raise DataError(
            f"The data set {dataset.name} is another one on the machine {platform.node()}.",
            hint="All machines need the same database: set MOVIEREC_DATABASE_URL on each.",
        )
    training = Training(
        task.request, dataset, make_split(dataset, task.request.split), _own(task.options, folder)
    )
    reporter = _Reporter(task.post, group.rank, folder)
    return fit_here(training, hooks=[reporter], resume=_take_up(folder), group=group)


def _own(options: TrainingOptions, folder: Path) -> TrainingOptions:
    """Return the options of this worker: its own device, checkpoints beside Ray's."""
    device = str(get_device()) if options.device == "cuda" else options.device
    return options.model_copy(update={"checkpoint": folder / "checkpoint.pt", "device": device})


def _take_up(folder: Path) -> bool:
    """Fetch the last checkpoint, and return whether there is one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        checkpoint.to_directory(folder)
    return checkpoint is not None


def _light(fit: EnsembleFit) -> EnsembleFit:
    """Return the fit without the features, which the other process has for all users."""
    none = torch.empty(0), torch.empty(0)
    members = [replace(member, features=none) for member in fit.members]
    first = members[0] if fit.first is fit.members[0] else replace(fit.first, features=none)
    return replace(fit, first=first, members=members)


class _Reporter:
    """A training hook: keeps a checkpoint per epoch with Ray, and posts what the first sees."""

    def __init__(self, post: Any, rank: int, folder: Path) -> None:
        self.post, self.rank, self.folder = post, rank, folder
        self._told = 0.0

    def on_start(self, plan: Plan) -> None:
        self._tell("on_start", plan)

    def on_step(self, epoch: int, step: int) -> None:
        now = time.monotonic()
        if now - self._told > STEP_SECONDS:
            self._told = now
            self._tell("on_step", epoch, step)

    def on_epoch(self, result: EpochResult) -> None:
        # every worker does: Ray waits for all of them
        kept = Checkpoint.from_directory(self.folder) if self.rank == 0 else None
        ray.train.report({"epoch": result.epoch}, kept)
        self._tell("on_epoch", result)

    def _tell(self, name: str, *facts: Any) -> None:
        if self.rank == 0:
            self.post.put.remote(name, *facts)


class _Forward(logging.Handler):
    """Sends log records to the run's own log: all of the first worker, the others' warnings."""

    def __init__(self, post: Any, rank: int) -> None:
        super().__init__(logging.WARNING if rank else logging.INFO)
        self.post = post

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.makeLogRecord({**vars(record), "msg": record.getMessage(), "args": None})
        text.exc_info = None
        self.post.put.remote("on_log", text)


class EndableTrainer(TorchTrainer):  # type: ignore[misc]
    """A trainer that leaves signals alone and ends its workers when it is asked to."""

    _controller: Any = None

    def end(self) -> None:
        """End the workers; nothing where they have ended."""
        if self._controller is not None:
            with suppress(Exception):  # the cluster may be gone
                ray.kill(self._controller)

    def _register_sigint_handler(self, controller: Any) -> None:
        """Keep the actor that has the workers, which Ray would end at Ctrl-C."""
        self._controller = controller
