"""Measurements of versions together as runs. Imports no torch: the pages call this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from movierec.errors import StoreError
from movierec.jobs.kinds import Kind, Work, only_host
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, Store

if TYPE_CHECKING:
    from movierec.workflows.requests import MeasureRequest

__all__ = ["MEASURE", "measurable", "run_measuring"]


class MeasureKind(Kind["MeasureRequest"]):
    """Measures versions on the ratings that none of them has seen."""

    name = "evaluate"
    title = "a measuring of versions, which starts from the beginning"
    instead = "`movierec runs resume {}`"

    def add(
        self, settings: Settings, store: Store, request: MeasureRequest, *,
        priority: int = 0, parent_id: int | None = None,
    ) -> RunRecord:  # fmt: skip
        """Queue a measurement of versions that are known to be measurable."""
        return store.runs.add(
            "evaluate",
            dataset_name=store.versions.get(request.versions[0]).dataset_name,
            request={"versions": [*request.versions]},
            priority=priority,
            parent_id=parent_id,
            kept_for=only_host(settings),
        )

    def execute(self, work: Work) -> None:
        """Measure the versions, and note in the run's row what on."""
        from movierec.workflows.measure import measure_together

        found = measure_together(
            work.settings, work.run.request["versions"], on_progress=work.tell
        ).ground
        facts = {
            "measured_on": found.split_label, "ratings": found.n_ratings, "users": found.n_users,
        }  # fmt: skip
        work.store.runs.add_facts(work.run.id, facts)

    def clone_refusal(self, run: RunRecord) -> StoreError:
        """Return that only trainings are cloned."""
        names = " ".join(run.request["versions"])
        return StoreError(
            f"Run {run.id} measures versions together; only trainings are cloned.",
            hint=f"`movierec versions measure {names}` measures them, where it is not done yet.",
        )


MEASURE = MeasureKind()


def measurable(settings: Settings, store: Store, names: Sequence[str]) -> MeasureRequest:
    """Return the request to measure versions, once they are known to be measurable together.

    Raises:
        HyperparameterError: there are fewer than two versions, or one twice.
        NotFoundError: there is no such version.
        EvaluationError: they were trained on different data, or on tasks that differ.

    """
    from movierec.workflows.measure import require_one_task
    from movierec.workflows.requests import MeasureRequest

    registry = Registry(settings, store)
    records = [registry.get(name) for name in names]
    request = MeasureRequest.of([record.name for record in records])
    require_one_task(store, records)
    return request


def run_measuring(store: Store, request: MeasureRequest) -> RunRecord | None:
    """Return the run that measures these versions already, or waits to."""
    store.runs.mark_interrupted()
    measuring = (run for run in store.runs.active() if run.kind == "evaluate")
    wanted = {*request.versions}
    return next((run for run in measuring if {*run.request["versions"]} == wanted), None)
