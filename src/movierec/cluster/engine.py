"""Ray as the engine of trainings and sweeps. Imports neither Ray, which is optional, nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from movierec.errors import SettingsError
from movierec.settings import Settings
from movierec.workflows.requests import EngineOptions

if TYPE_CHECKING:
    import optuna

    from movierec.sweeps.objective import Objective
    from movierec.sweeps.run import Ended
    from movierec.training.callbacks import Hook
    from movierec.training.fit import EnsembleFit
    from movierec.workflows.version import Training

__all__ = ["RayEngine", "device_of_workers"]


@dataclass(frozen=True)
class RayEngine:
    """The workers of a Ray cluster: they share the ratings of a training, or do trials."""

    options: EngineOptions
    settings: Settings

    def device(self, name: str) -> str:
        """Return what every worker computes on; see `device_of_workers`."""
        return device_of_workers(self.options, name)

    def fit(self, training: Training, *, hooks: Sequence[Hook], resume: bool) -> EnsembleFit:
        """Fit all models of a version; see `fit_on_ray`."""
        from movierec.cluster.train import fit_on_ray

        return fit_on_ray(self.options, self.settings, training, hooks=hooks, resume=resume)

    def search(self, study: optuna.Study, objective: Objective, trials: int, ended: Ended) -> None:
        """Do so many trials of a study; see `search_on_ray`."""
        from movierec.cluster.sweep import search_on_ray

        search_on_ray(self.options, self.settings, study, objective, trials, ended)


def device_of_workers(engine: EngineOptions, name: str) -> str:
    """Return what every worker computes on, cpu or cuda, of which it has one for itself.

    On a cluster that is there already, auto means cpu: nobody can look what it will give.

    Raises:
        SettingsError: the device is another, or this machine has not one for each worker.

    """
    kind = name.partition(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps") or name == "mps":
        raise SettingsError(
            f"Workers on Ray do not compute on {name}.", hint="Use --device cpu or --device cuda."
        )
    if engine.address is not None:
        return "cuda" if kind == "cuda" else "cpu"
    enough = _gpus() >= engine.workers
    if kind == "cuda" and not enough:
        raise SettingsError(
            f"This machine has {_gpus()} CUDA devices for {engine.workers} workers.",
            hint="Use fewer --workers, --device cpu, or --address of a larger cluster.",
        )
    return "cuda" if kind != "cpu" and enough else "cpu"


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
