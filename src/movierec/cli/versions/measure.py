"""`movierec versions measure`: versions of different splits on the same held-out ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.options import JsonOption, QueueOption, VersionsArgument
from movierec.cli.output import emit, number, progress_bar, table
from movierec.comparison.metrics import METRICS, values_of
from movierec.jobs import submit_measure
from movierec.jobs.foreground import measure_run, queue_measure
from movierec.metadata import EvaluationSummary
from movierec.settings import Settings, load_settings

if TYPE_CHECKING:
    from movierec.registry.measurements import Measurement

__all__ = ["measure"]

_SHOWN = ("rmse", "mae", "ndcg_full", "recall_full", "ndcg_liked", "ndcg_rated")


def measure(
    versions: VersionsArgument, queue: QueueOption = False, as_json: JsonOption = False
) -> None:
    """Measure versions of different splits on the held-out ratings that none of them has seen.

    `movierec compare` then says which is better. What was measured before is not measured again.
    """
    settings = load_settings()
    if queue:
        run = submit_measure(settings, versions)
        emit(as_json, run, lambda: f"Run {run.id} waits in the queue.")
        return
    found = _here(settings, versions)
    emit(as_json, _facts(found), lambda: _drawn(found))


def _here(settings: Settings, versions: list[str]) -> Measurement:
    run = queue_measure(settings, versions)
    stopped = f"Stopped; nothing is kept. Try it again: `movierec runs resume {run.id}`."
    with progress_bar(f"Run {run.id}", stopped) as report:
        return measure_run(settings, run.id, on_progress=report)


def _facts(found: Measurement) -> dict[str, Any]:
    return {
        "created_at": found.created_at,
        **found.ground.model_dump(),
        "folder": found.folder,
        "versions": {
            name: {"evaluation": each.evaluation, "slices": each.slices}
            for name, each in found.versions.items()
        },
    }


def _drawn(found: Measurement) -> RenderableType:
    ground = found.ground
    shown = [metric for metric in METRICS if metric.key in _SHOWN]
    title = (
        f"{ground.dataset_name}, {ground.split_label}: "
        f"{ground.n_ratings:,} ratings of {ground.n_users:,} users"
    )
    labels = tuple(metric.label for metric in shown)
    drawn = table(title, "Version", *labels, right=labels)
    for name, each in found.versions.items():
        values = values_of(EvaluationSummary.model_validate(each.evaluation))
        drawn.add_row(name, *(number(values[metric.key], metric.digits) for metric in shown))
    names = " ".join(found.versions)
    after = Text(f"Which is better, and how surely: movierec compare {names}")
    return Group(drawn, *map(Text, ground.caveats), after)
