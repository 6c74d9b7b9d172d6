"""The loop: steps, validation, best weights, early stopping, checkpoints."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from movierec.errors import NonFiniteError, TrainingError
from movierec.graph import RatingGraph
from movierec.models.graphsage.heads import NodeStates
from movierec.models.graphsage.losses import state_losses, step_loss
from movierec.models.graphsage.network import GraphSage
from movierec.runtime import pick_device
from movierec.training.budget import StepBudget, minibatches_per_pass, steps_per_epoch
from movierec.training.callbacks import EpochResult, FitResult, Hook, Plan, Stage
from movierec.training.checkpoint import (
    random_state,
    read_checkpoint,
    require_identity,
    set_random_state,
    unusable,
    write_checkpoint,
)
from movierec.training.distributed.group import share_gradients
from movierec.training.distributed.shard import Shard
from movierec.training.minibatch import MinibatchSampler
from movierec.training.optim import WeightAverage, make_optimizer, make_schedule
from movierec.training.options import TrainingOptions
from movierec.training.targets import FullGraphSampler, Step

__all__ = ["Trainer", "Validator"]

logger = logging.getLogger(__name__)

Weights = dict[str, Tensor]
# measures the model's states as they stand: {"val_rmse": stars, "val_ndcg_10": share}
Validator = Callable[[GraphSage, NodeStates], dict[str, float]]


class Trainer:
    """Trains one GraphSAGE on one graph.

    Args:
        model: trained in place.
        graph: the train ratings; nothing of validation or test is in it.
        validation: the ratings that pick the epoch; None trains all epochs and keeps the last.
        features: user and movie features, (n_users, f_u) and (n_movies, f_m).
        options: device, seed, checkpoint.
        validator: measures the averaged weights after each epoch.
        hooks: watchers.
        budget: how many steps to take; None for all epochs of the hyperparameters.
        stage: which of a version's fits this is, for the watchers.
        shard: the users of the graph among those of all workers; None where there is but one.

    """

    def __init__(
        self,
        model: GraphSage,
        graph: RatingGraph,
        validation: RatingGraph | None,
        features: tuple[Tensor, Tensor],
        *,
        options: TrainingOptions,
        validator: Validator | None = None,
        hooks: Sequence[Hook] = (),
        budget: StepBudget | None = None,
        stage: Stage = Stage(),
        shard: Shard | None = None,
    ) -> None:
        self.device = pick_device(options.device)
        self.config = model.config
        self.model = model.to(self.device)
        self.graph = graph.to(self.device)
        self.validation = None if validation is None else validation.to(self.device)
        self.features = (features[0].to(self.device), features[1].to(self.device))
        self.options = options
        self.validator = validator
        self.hooks = hooks
        self.shard = shard or Shard.full(graph.n_users, graph.n_edges)
        self.budget = budget or StepBudget.full(self.config, self.shard.n_edges)
        self.stage = stage
        self.batches = torch.Generator().manual_seed(options.seed)
        self.minibatches = minibatches_per_pass(self.config, self.shard.n_edges)
        sampler = MinibatchSampler if self.minibatches > 1 else FullGraphSampler
        self.sampler = sampler(self.graph, self.config, self.batches, self.shard)
        self.optimizer = make_optimizer(model)
        self.schedule = make_schedule(self.optimizer, self.config, self.budget.planned)
        self.average = WeightAverage(model, self.config.weight_average)
        self.best_weights: Weights = self.average.weights()
        self.best_value = math.inf
        self.result = FitResult()

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the train ratings."""
        return steps_per_epoch(self.config, self.shard.n_edges)

    @property
    def epochs(self) -> int:
        """Passes over the train ratings at most; the budget may end within the last one."""
        return math.ceil(self.budget.steps / self.steps_per_epoch)

    def fit(self, *, resume: bool = False) -> FitResult:
        """Train to the end and leave the best weights in the model.

        Raises:
            NonFiniteError: a loss became NaN or infinite; the message says at which step.
            TrainingError: nothing measures the metric that is to pick the epoch.
            ArtifactError: `resume` finds a checkpoint of another model or a damaged one.

        """
        self._require_monitor()
        if resume:
            self._restore()
        plan = self._plan()
        for hook in self.hooks:
            hook.on_start(plan)
        for epoch in range(len(self.result.history) + 1, self.epochs + 1):
            if self._out_of_patience:
                break
            started = time.perf_counter()
            train_loss = self._train_epoch(epoch)
            result = self._validate(epoch, train_loss, started)
            self._remember(result)
        self.result.stopped_early = len(self.result.history) < self.epochs
        self.model.load_state_dict(self.best_weights)
        self.model.eval()
        return self.result

    def _require_monitor(self) -> None:
        measured = self.validator is not None or self.config.monitor == "val_loss"
        if self.validation is not None and not measured:
            raise TrainingError(
                f"Nothing measures {self.config.monitor}, which is to pick the epoch.",
                hint="Set monitor to val_loss, or give the training a validator.",
            )

    def _plan(self) -> Plan:
        return Plan(
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            n_parameters=self.model.n_parameters,
            device=str(self.device),
            minibatches=self.minibatches,
            workers=self.shard.group.size,
            first_epoch=len(self.result.history) + 1,
            done=tuple(self.result.history),
            stage=self.stage,
        )

    def _train_epoch(self, epoch: int) -> float:
        self.model.train()
        self._seed_worker(epoch)
        left = self.budget.steps - (epoch - 1) * self.steps_per_epoch
        total, count = torch.zeros((), device=self.device), 0
        for number, step in enumerate(self.sampler.epoch(left), start=1):
            n_targets = int(self.shard.group.sum(torch.tensor(step.targets.n_edges)))
            total += self._step(step, epoch, number) * n_targets
            count += n_targets
            for hook in self.hooks:
                hook.on_step(epoch, number)
        return float(total) / count

    def _seed_worker(self, epoch: int) -> None:
        """Give each of several workers random numbers of its own, the same after a restart."""
        group = self.shard.group
        if group.size > 1:
            torch.manual_seed(abs(hash((self.options.seed, epoch, group.rank))))

    def _step(self, step: Step, epoch: int, number: int) -> Tensor:
        """Do one update and return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        users, movies = self.features
        if step.nodes is not None:
            users, movies = users[step.nodes[0]], movies[step.nodes[1]]
        with self._precision():
            parts = step_loss(
                self.model, step.visible, step.targets, (users, movies), step.negatives
            )
        loss = torch.stack([part.float() for part in parts.values()]).sum()
        total = self.shard.group.sum(loss.detach())  # of all workers
        if not torch.isfinite(total):
            raise self._non_finite(parts, epoch, number)
        loss.backward()  # type: ignore[no-untyped-call]
        share_gradients(self.model, self.shard.group)
        if self.config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        self.average.update()
        return total

    def _precision(self) -> torch.autocast:
        enabled = self.options.mixed_precision and self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _non_finite(self, parts: dict[str, Tensor], epoch: int, step: int) -> NonFiniteError:
        values = {name: float(part.detach()) for name, part in parts.items()}
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        became = "NaN" if any(math.isnan(value) for value in values.values()) else "infinite"
        return NonFiniteError(
            f"The {' and '.join(bad) or 'total'} loss became {became} "
            f"in epoch {epoch}, step {step} of {self.steps_per_epoch}.",
            hint=self._advice,
        )

    @property
    def _advice(self) -> str:
        rate = self.config.learning_rate
        return f"Lower learning_rate (now {rate:g}) or set gradient_clip to 1."

    def _validate(self, epoch: int, train_loss: float, started: float) -> EpochResult:
        with self.average.applied():
            val_loss, measured = self._measured()
        result = EpochResult(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            val_rmse=measured.get("val_rmse", math.nan),
            val_ndcg_10=measured.get("val_ndcg_10", math.nan),
            seconds=time.perf_counter() - started,
            is_best=False,
        )
        return EpochResult(**{**result.as_dict(), "is_best": self._is_better(result)})

    @torch.no_grad()
    def _measured(self) -> tuple[float, dict[str, float]]:
        """Return the validation loss and what the validator says, from one forward pass."""
        if self.validation is None and self.validator is None:
            return math.nan, {}
        self.model.eval()
        states = self.model.encode(self.graph, *self.features)
        measured = self.validator(self.model, states) if self.validator else {}
        return self._validation_loss(states), measured

    def _validation_loss(self, states: NodeStates) -> float:
        if self.validation is None:
            return math.nan
        with torch.random.fork_rng(devices=self._cuda_devices()):
            # what a sampled loss samples is the same in every epoch
            torch.manual_seed(self.options.seed)
            random = torch.Generator().manual_seed(self.options.seed)
            negatives = self.shard.negatives(self.graph.by_movie.degree, self.config, random)
            parts = state_losses(self.model, states, self.graph, self.validation, negatives)
        return float(self.shard.group.sum(torch.stack(list(parts.values())).sum()))

    def _cuda_devices(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def _is_better(self, result: EpochResult) -> bool:
        if self.validation is None:
            return True
        value = getattr(result, self.config.monitor)
        if not math.isfinite(value):
            raise NonFiniteError(
                f"{self.config.monitor} became {value:g} in epoch {result.epoch}.",
                hint=self._advice,
            )
        value = -value if self.config.monitor == "val_ndcg_10" else value
        if not value < self.best_value - self.config.min_delta:
            return False
        self.best_value = value
        return True

    def _remember(self, result: EpochResult) -> None:
        self.result.history.append(result)
        if result.is_best:
            self.result.best_epoch = result.epoch
            self.best_weights = self.average.weights()
        if self.options.checkpoint is not None and self.shard.group.rank == 0:
            write_checkpoint(self.options.checkpoint, self._state())
        for hook in self.hooks:
            hook.on_epoch(result)
        logger.info(
            "epoch=%d train_loss=%.4f val_loss=%.4f val_rmse=%.4f val_ndcg_10=%.4f seconds=%.2f",
            result.epoch, result.train_loss, result.val_loss, result.val_rmse,
            result.val_ndcg_10, result.seconds,
        )  # fmt: skip

    @property
    def _out_of_patience(self) -> bool:
        since_best = len(self.result.history) - self.result.best_epoch
        return since_best >= self.config.early_stopping_patience

    def _state(self) -> dict[str, Any]:
        return {
            "identity": self._identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.state(),
            "best_weights": self.best_weights,
            "best_value": self.best_value,
            "best_epoch": self.result.best_epoch,
            "history": [item.as_dict() for item in self.result.history],
            "random": random_state(self._cuda_devices()),
            "batches": self.batches.get_state(),
        }

    @property
    def _identity(self) -> dict[str, Any]:
        """What a training must share with the checkpoint it goes on from."""
        return {
            "hyperparameters": self.config.model_dump(),
            "data": asdict(self.model.sizes) | {"ratings": self.shard.n_edges},
        }

    def _restore(self) -> None:
        path = self.options.checkpoint
        if path is None or not path.is_file():
            return
        state = read_checkpoint(path)
        require_identity(path, state.get("identity"), self._identity)
        try:
            self._go_on_from(state)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise unusable(path) from error

    def _go_on_from(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.average.restore(state["average"])
        self.best_weights = {k: v.to(self.device) for k, v in state["best_weights"].items()}
        self.best_value = state["best_value"]
        history = [EpochResult(**item) for item in state["history"]]
        self.result = FitResult(history, state["best_epoch"])
        set_random_state(state["random"], self._cuda_devices())
        self.batches.set_state(state["batches"])
