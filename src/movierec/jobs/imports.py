"""Imports of data sets as runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from movierec.errors import StoreError
from movierec.jobs.kinds import Kind, Work, only_host
from movierec.settings import Settings
from movierec.store import RunRecord, Store

__all__ = ["IMPORT", "ImportRequest"]


class ImportRequest(BaseModel):
    """One import: of the data set called `data_set`, or of a file or folder.

    `columns` names the columns of a ratings table: user, movie, rating and timestamp.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_set: str = "ml-100k"
    path: str | None = None
    columns: dict[str, Any] | None = None
    name: str | None = None


class ImportKind(Kind[ImportRequest]):
    """Fetches a data set, or reads a file of this machine."""

    name = "import"
    title = "an import, which starts from the beginning"
    instead = "`movierec data fetch` or `movierec data import`"

    def add(
        self, settings: Settings, store: Store, request: ImportRequest, *,
        priority: int = 0, parent_id: int | None = None,
    ) -> RunRecord:  # fmt: skip
        """Queue an import; a file is left to this machine, which has it."""
        path = request.path
        return store.runs.add(
            "import",
            dataset_name=request.name or (Path(path).stem if path else request.data_set),
            request=request.model_dump(),
            priority=priority,
            parent_id=parent_id,
            kept_for=only_host(settings) if path else "",
        )

    def execute(self, work: Work) -> None:
        """Fetch or read the data set into the database."""
        from movierec.data.formats.detect import ColumnChoice
        from movierec.workflows.data import fetch_and_import, import_data

        request = ImportRequest(**work.run.request)
        if request.path is None:
            fetch_and_import(work.settings, request.data_set, on_progress=work.tell)
            return
        columns = ColumnChoice(**request.columns) if request.columns else None
        import_data(
            Path(request.path), work.settings,
            name=request.name, columns=columns, on_progress=work.tell,
        )  # fmt: skip

    def clone_refusal(self, run: RunRecord) -> StoreError:
        """Return that only trainings are cloned."""
        return StoreError(
            f"Run {run.id} is an import; only trainings are cloned.",
            hint="Use `movierec data fetch` or `movierec data import`.",
        )


IMPORT = ImportKind()
