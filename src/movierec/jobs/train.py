"""Trainings as runs, and what a training tells its run's row. Imports no torch."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from movierec.errors import StoreError
from movierec.jobs.kinds import Kind, Work, engine_of
from movierec.metadata import EpochSummary
from movierec.progress import Progress
from movierec.runtime import peak_memory_mb
from movierec.settings import Settings
from movierec.store import EpochRecord, RunRecord, Store
from movierec.training.callbacks import EpochResult, Plan
from movierec.training.options import TrainingOptions

if TYPE_CHECKING:
    from movierec.workflows.requests import TrainRequest
    from movierec.workflows.version import Training

__all__ = ["TRAIN", "Watcher", "complete_epochs"]

logger = logging.getLogger(__name__)

TRAIN_SHARE = (0.02, 0.90)  # where training starts and how much of the bar it takes


class TrainKind(Kind["TrainRequest"]):
    """Trains a model and keeps it as a version."""

    name = "train"
    title = "a training"
    instead = "`movierec train --resume {}`"

    def prepare(self, settings: Settings, request: TrainRequest) -> tuple[TrainRequest, Training]:
        """Load and split the data, and see that there is such a device."""
        training = _prepared(settings, request)
        return training.request, training

    def add(
        self, settings: Settings, store: Store, request: TrainRequest, *,  # noqa: ARG002
        priority: int = 0, parent_id: int | None = None,
    ) -> RunRecord:  # fmt: skip
        """Queue a training; NotFoundError when there is no such data set."""
        name = store.datasets.get(request.dataset).name
        named = request.model_copy(update={"dataset": name})
        return store.runs.add(
            "train",
            preset=request.preset,
            dataset_name=name,
            request=named.model_dump(mode="json"),
            priority=priority,
            parent_id=parent_id,
        )

    def execute(self, work: Work) -> str:
        """Train from the start, or from the run's checkpoint; return the version's name."""
        from movierec.workflows.requests import TrainRequest
        from movierec.workflows.train import train

        checkpoint = work.settings.runs_path / str(work.run.id) / "checkpoint.pt"
        if not work.resume:  # of a run in a database that is gone
            TrainingOptions(checkpoint=checkpoint).forget_checkpoints()
        work.tell("loading the data", 0.0)
        training: Training = work.prepared or _prepared(
            work.settings, TrainRequest.of(**work.run.request)
        )
        options = training.options.model_copy(update={"checkpoint": checkpoint})
        watcher = Watcher(work.store, work.run.id, work.tell)
        record = train(
            replace(training, options=options), work.settings, hooks=(watcher, *work.hooks),
            on_progress=work.tell, run_id=work.run.id, resume=work.resume,
        )  # fmt: skip
        complete_epochs(work.store, work.run.id, record.metadata.training_history)
        return record.name


TRAIN = TrainKind()


def _prepared(settings: Settings, request: TrainRequest) -> Training:
    from movierec.workflows.train import prepare

    return prepare(request, settings, engine_of(request.engine, settings))


class Watcher:
    """A training hook that keeps the run's epochs and a progress bar up to date."""

    def __init__(self, store: Store, run_id: int, tell: Progress) -> None:
        self.store = store
        self.run_id = run_id
        self.tell = tell
        self.plan: Plan | None = None
        self._unkept: list[EpochRecord] = []

    def on_start(self, plan: Plan) -> None:
        """Remember how much there is to do, and tell it.

        A process that ended between an epoch's checkpoint and its row never does that epoch
        again: what the checkpoint knows is kept now.
        """
        self.plan = plan
        if plan.stage.number == 1:
            complete_epochs(self.store, self.run_id, plan.done)
            self.store.runs.add_facts(
                self.run_id,
                {
                    "device": plan.device,
                    "epochs": plan.epochs,
                    "steps_per_epoch": plan.steps_per_epoch,
                    "n_parameters": plan.n_parameters,
                    "fits": plan.stage.count,
                    "workers": plan.workers,
                    "parts": plan.minibatches,
                    "cpus": os.cpu_count(),
                },
            )

    def on_step(self, epoch: int, step: int) -> None:
        """Move the bar, of which every fit has an equal part."""
        plan = self.plan
        if plan is None:
            return
        within = (epoch - 1 + step / plan.steps_per_epoch) / plan.epochs
        start, share = TRAIN_SHARE
        done = start + share * (plan.stage.number - 1 + within) / plan.stage.count
        words = (plan.stage.title, f"epoch {epoch} of {plan.epochs}")
        self.tell(", ".join(filter(None, words)), done)

    def on_epoch(self, result: EpochResult) -> None:
        """Keep an epoch of the first fit, whose validation curve is the run's, as a row.

        One that the database would not take has another chance after the next: the training
        goes on meanwhile.
        """
        if self.plan is None or self.plan.stage.number == 1:
            self._unkept.append(_record(result))
        try:
            self._keep()
        except StoreError as error:
            logger.warning("run=%d epochs=%d wait: %s", self.run_id, len(self._unkept), error)

    def _keep(self) -> None:
        while self._unkept:
            self.store.runs.add_epoch(self.run_id, self._unkept[0])
            del self._unkept[0]


def _record(result: EpochResult) -> EpochRecord:
    return EpochRecord(**result.as_dict(), memory_mb=peak_memory_mb())


def complete_epochs(
    store: Store, run_id: int, history: Iterable[EpochResult | EpochSummary]
) -> None:
    """Keep every epoch of a training that has no row yet as one."""
    kept = {epoch.epoch for epoch in store.runs.epochs(run_id)}
    for item in (item for item in history if item.epoch not in kept):
        values: dict[str, Any] = {
            k: math.nan if v is None else v for k, v in item.as_dict().items()
        }
        store.runs.add_epoch(run_id, EpochRecord(**values))
