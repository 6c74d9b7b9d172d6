"""A training whose steps are done by workers on Ray; this process watches and goes on with it."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from movierec.cluster.connection import Post, cluster, share_of_worker
from movierec.data.dataset import Dataset
from movierec.errors import MovierecError, TrainingError
from movierec.models.graphsage.recommender import feature_tensors
from movierec.settings import Settings
from movierec.training.callbacks import EpochResult, Hook, Plan
from movierec.training.fit import EnsembleFit, SageFit
from movierec.workflows.requests import EngineOptions
from movierec.workflows.version import Training

__all__ = ["fit_on_ray"]

RESTARTS = 5  # times that lost workers are replaced; a machine that always fails must come out
POLL_SECONDS = 0.2


def fit_on_ray(
    engine: EngineOptions,
    settings: Settings,
    training: Training,
    *,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
) -> EnsembleFit:
    """Fit as `fit_here` does, by the workers of a Ray cluster, which hold a part of the users each.

    Every epoch is a checkpoint of Ray Train beside the run's own: workers that are lost are
    replaced and continue from the last one, and so does a run that is resumed.

    Raises:
        SettingsError: there is no Ray, or its cluster cannot be used.
        TrainingError: workers were lost again and again.
        MovierecError: what made a worker fail.

    """
    import ray

    options, dataset = training.options, training.dataset
    worker = share_of_worker(options.device, settings.threads)
    with cluster(engine, worker) as folder:
        from movierec.cluster.worker import Task, work

        post = ray.remote(num_cpus=0)(Post).remote()
        task = Task(settings, training.request, dataset.fingerprint, options, post)
        storage = options.kept_by_workers or folder / "run"
        if not resume:
            shutil.rmtree(storage, ignore_errors=True)
        trainer = _trainer(work, task, worker, storage)
        fit = _Watch(post, hooks).until_the_end_of(trainer)
    return _complete(cast(EnsembleFit, fit), dataset)


def _trainer(
    loop: Callable[[dict[str, Any]], Any], task: Any, worker: dict[str, float], storage: Path
) -> Any:
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

    from movierec.cluster.worker import EndableTrainer

    engine = task.request.engine
    # a cluster of others may lose machines for good: the rest goes on, the curve is the same
    workers = engine.workers if engine.address is None else (1, engine.workers)
    return EndableTrainer(
        loop,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu="GPU" in worker, resources_per_worker=worker
        ),
        run_config=RunConfig(
            name=storage.name, storage_path=str(storage.parent),
            failure_config=FailureConfig(max_failures=RESTARTS),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )  # fmt: skip


@dataclass
class _Watch:
    """Passes on what the workers post, in a thread beside the one that waits for them."""

    post: Any
    hooks: Sequence[Hook]
    _stage: int = 0
    _epochs: set[tuple[int, int]] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)
    _trouble: BaseException | None = None

    def until_the_end_of(self, trainer: Any) -> Any:
        """Return what the trainer's first worker returns, once all that was posted is passed on.

        Whatever ends it early ends the workers first: Ray may crash where it is left while a
        thread waits for it.
        """
        watching = threading.Thread(target=self._watch, args=(trainer,), daemon=True)
        watching.start()
        try:
            found = trainer.fit()
        except Exception as error:
            self._end(watching)
            raise self._trouble or _spoken(error)  # noqa: B904 - it has its own cause
        finally:
            trainer.end()
            self._end(watching)
        if self._trouble is not None:
            raise self._trouble
        return found.return_value

    def _end(self, watching: threading.Thread) -> None:
        self._ended.set()
        watching.join()

    def _watch(self, trainer: Any) -> None:
        try:
            while not self._ended.wait(POLL_SECONDS):
                self._pass_on()
            self._pass_on()
        except BaseException as error:
            self._trouble = error
            trainer.end()

    def _pass_on(self) -> None:
        import ray

        for name, facts in ray.get(self.post.take.remote()):
            getattr(self, name)(*facts)

    def on_start(self, plan: Plan) -> None:
        if self._stage == plan.stage.number:  # lost before they could tell of what Ray kept
            for result in plan.done:
                self.on_epoch(result)
        self._stage = plan.stage.number
        for hook in self.hooks:
            hook.on_start(plan)

    def on_step(self, epoch: int, step: int) -> None:
        for hook in self.hooks:
            hook.on_step(epoch, step)

    def on_epoch(self, result: EpochResult) -> None:
        # workers that were replaced may do an epoch again whose checkpoint Ray did not yet know
        if (self._stage, result.epoch) in self._epochs:
            return
        self._epochs.add((self._stage, result.epoch))
        for hook in self.hooks:
            hook.on_epoch(result)

    def on_log(self, record: logging.LogRecord) -> None:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)

    def on_error(self, error: MovierecError) -> None:
        raise error


def _spoken(error: Exception) -> Exception:
    """Return what to say of Ray's giving up; any other error as it is."""
    from ray.train import TrainingFailedError

    if not isinstance(error, TrainingFailedError):
        return error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    spoken = TrainingError(
        f"Ray gave up after replacing lost workers {RESTARTS} times: {lines[-1]}",
        hint="Look for machines without memory; resuming goes on from the last checkpoint.",
    )
    spoken.__cause__ = error
    return spoken


def _complete(fit: EnsembleFit, dataset: Dataset) -> EnsembleFit:
    """Return the fit with the features of all users and movies."""
    features = feature_tensors(fit.first.preprocessor, dataset)

    def whole(part: SageFit) -> SageFit:
        return replace(part, features=features)

    members = [whole(member) for member in fit.members]
    first = members[0] if fit.first is fit.members[0] else whole(fit.first)
    return replace(fit, first=first, members=members)
