"""Sweeps as runs. Imports no torch: the pages call this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movierec.errors import StoreError
from movierec.jobs.kinds import Kind, Work, engine_of, only_host
from movierec.settings import Settings
from movierec.store import RunRecord, Store

if TYPE_CHECKING:
    from movierec.sweeps.request import SweepRequest
    from movierec.workflows.version import Training

__all__ = ["SWEEP"]


class SweepKind(Kind["SweepRequest"]):
    """Searches hyperparameters on the validation part."""

    name = "sweep"
    title = "a sweep"
    instead = "`movierec sweep --resume {}`"

    def prepare(self, settings: Settings, request: SweepRequest) -> tuple[SweepRequest, Training]:
        """Load and split the data, and see that there is such a device."""
        training = _prepared(settings, request)
        return request.model_copy(update={"training": training.request}), training

    def add(
        self, settings: Settings, store: Store, request: SweepRequest, *,
        priority: int = 0, parent_id: int | None = None,
    ) -> RunRecord:  # fmt: skip
        """Store a sweep that is new, and queue trials of it.

        Raises:
            NotFoundError: there is no such data set.
            StoreError: the name is of another sweep, or of one that a run works on.

        """
        from movierec.sweeps.identity import begin

        data = store.datasets.get(request.training.dataset)
        store.runs.mark_interrupted()
        _require_free(store, request.name)
        begun = begin(request, settings, data)
        return store.runs.add(
            "sweep",
            preset=begun.training.preset,
            dataset_name=data.name,
            request=begun.model_dump(mode="json"),
            priority=priority,
            parent_id=parent_id,
            kept_for=only_host(settings),
        )

    def execute(self, work: Work) -> None:
        """Do the trials that are missing."""
        from movierec.sweeps.request import SweepRequest
        from movierec.sweeps.run import one_by_one, sweep

        request = SweepRequest.of(**work.run.request)
        goal = _trials_goal(work)
        work.tell("loading the data", 0.0)
        engine = engine_of(request.engine, work.settings)
        sweep(
            request, work.settings, training=work.prepared or _prepared(work.settings, request),
            search=one_by_one if engine is None else engine.search,
            hooks=work.hooks, on_progress=work.tell, goal=goal,
        )  # fmt: skip

    def clone_refusal(self, run: RunRecord) -> StoreError:
        """Return that only trainings are cloned."""
        name = run.request["name"]
        return StoreError(
            f"Run {run.id} is a sweep; only trainings are cloned.",
            hint=f"`movierec sweep --name {name}` does more trials of it.",
        )


SWEEP = SweepKind()


def _prepared(settings: Settings, request: SweepRequest) -> Training:
    from movierec.workflows.train import prepare

    return prepare(request.training, settings, engine_of(request.engine, settings))


def _trials_goal(work: Work) -> int:
    """Return at how many trials the sweep is done; it is settled when the run begins."""
    from movierec.sweeps.storage import SweepStore

    run, runs = work.run, work.store.runs
    if "goal" not in run.facts:
        done = SweepStore(work.settings).count_trials(run.request["name"])
        runs.add_facts(run.id, {"goal": done + run.request["trials"]})
    return int(runs.get(run.id).facts["goal"])


def _require_free(store: Store, name: str | None) -> None:
    for run in store.runs.active():
        if name is not None and run.kind == "sweep" and run.request["name"] == name:
            raise StoreError(
                f"Run {run.id} works on the sweep {name} or waits to.",
                hint=f"Wait for it, or stop it: `movierec runs cancel {run.id}`.",
            )
