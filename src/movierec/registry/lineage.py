"""Lineage of a version: its data, its run, the runs and the sweep before it, its archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from movierec.errors import NotFoundError
from movierec.store import RunRecord, Store, VersionRecord

__all__ = ["Lineage", "lineage"]

MOST_PARENTS = 50  # a chain of clones is a few runs long


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from.

    `parents` are the runs it was cloned from, the nearest first, `sweep` and `trial` what it
    trained the best of. `source` says where its data came from, `is_data_here` whether the data
    set is in the database. `archive` is empty for what was trained here.
    """

    dataset: str
    source: str
    is_data_here: bool
    run_id: int | None = None
    run_state: str = ""
    parents: tuple[int, ...] = ()
    sweep: str = ""
    trial: int | None = None
    archive: str = ""
    name_there: str = ""
    imported_at: str = ""

    def facts(self) -> dict[str, str]:
        """Return the known facts as text, by label."""
        away = "" if self.is_data_here else "; not in this database"
        trial = "" if self.trial is None else f", trial {self.trial}"
        texts = {
            "Data set": ", from ".join(filter(None, (self.dataset, self.source))) + away,
            "Run": "" if self.run_id is None else f"{self.run_id}, {self.run_state}",
            "Cloned from": ", which is a clone of ".join(f"run {run}" for run in self.parents),
            "Sweep": self.sweep and f"{self.sweep}{trial}",
            "Imported": self.archive and f"from {self.archive}, where it was {self.name_there}",
            "Imported at": self.imported_at[:16].replace("T", " "),
        }
        return {name: text for name, text in texts.items() if text}


def lineage(store: Store, record: VersionRecord) -> Lineage:
    """Return where a version comes from, as far as the database still knows."""
    data = store.datasets.find(record.fingerprint)
    source = record.metadata.data_source or (data.source if data else "")
    origin = {name: str(record.origin.get(name, "")) for name in ("archive", "name", "imported_at")}
    return Lineage(
        dataset=record.dataset_name,
        source=str(source),
        is_data_here=data is not None,
        archive=origin["archive"],
        name_there=origin["name"],
        imported_at=origin["imported_at"],
        **_training(store, record.run_id),
    )


def _training(store: Store, run_id: int | None) -> Mapping[str, Any]:
    run = _run(store, run_id)
    if run is None:
        return {}
    before = list(_ancestors(store, run))
    known = {"run_id": run.id, "run_state": run.state}
    if before and before[0].kind == "sweep":
        return {**known, "sweep": before[0].request["name"], "trial": run.facts.get("trial")}
    return {**known, "parents": tuple(parent.id for parent in before if parent.kind == "train")}


def _ancestors(store: Store, run: RunRecord) -> Iterator[RunRecord]:
    """Yield the run that this one was cloned from, and so on, up to a sweep."""
    for _ in range(MOST_PARENTS):
        parent = _run(store, run.parent_id)
        if parent is None:
            return
        yield parent
        if parent.kind == "sweep":
            return
        run = parent


def _run(store: Store, run_id: int | None) -> RunRecord | None:
    try:
        return None if run_id is None else store.runs.get(run_id)
    except NotFoundError:
        return None
