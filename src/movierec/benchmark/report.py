"""The file of a benchmark: every row with what it was measured on, kept as each fit ends."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from movierec.benchmark.row import Row
from movierec.errors import FormatError, MovierecError, SettingsError
from movierec.folders import write_whole
from movierec.runtime import git_state, library_versions
from movierec.settings import Settings, project_root
from movierec.store import open_store
from movierec.workflows.requests import TrainRequest, full_hyperparameters

__all__ = ["Report", "ReportFile", "joined", "read_report", "run_facts"]

FORMAT = 1
GIB = 2**30


@dataclass(frozen=True)
class Report:
    """Rows of one or several benchmarks, and for each benchmark the facts of its rows.

    A row is what `measure_rows` returns and `run`, its place in `runs`. A run has `date` (UTC),
    `command`, `machine`, `libraries` and `git`.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        FormatError: the file is no report, or one of another format.
        SettingsError: it cannot be read.

    """
    hint = "Name another file, or move this one away."
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise FormatError(f"{path.name} has format {facts['format']!r}.", hint=hint)
        return Report(facts["runs"], facts["rows"])
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", hint=hint) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path.name} is no report of a benchmark.", hint=hint) from error


def joined(reports: Iterable[Report]) -> Report:
    """Return the rows of all reports; where one training is in several, the last one's row."""
    runs: list[dict[str, Any]] = []
    rows: dict[tuple[str, str], Row] = {}
    for report in reports:
        runs += [run for run in report.runs if run not in runs]
        for row in report.rows:
            rows[_identity(row)] = row | {"run": runs.index(report.runs[row["run"]])}
    return _without_empty_runs(Report(runs, list(rows.values())))


def _identity(row: Row) -> tuple[str, str]:
    return row["fingerprint"], json.dumps(row["request"], sort_keys=True)


def _without_empty_runs(report: Report) -> Report:
    used = sorted({row["run"] for row in report.rows})
    rows = [row | {"run": used.index(row["run"])} for row in report.rows]
    return Report([report.runs[run] for run in used], rows)


class ReportFile:
    """A report that is written anew after each fit, so that a killed benchmark can go on.

    Raises:
        FormatError, SettingsError: there is such a file, but it is none of ours.

    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self.report = read_report(path) if path.exists() else Report()
        self._run = run
        self._reused: list[dict[str, Any]] = []

    def finder(self, settings: Settings) -> Callable[[TrainRequest], Row | None]:
        """Return what finds the row of a training that was measured before.

        The data, the request and every hyperparameter are the same, those of the preset
        included; the commit and the machine may differ, see `doubts`.
        """
        fingerprints = _Fingerprints(settings)

        def find(request: TrainRequest) -> Row | None:
            wanted = (fingerprints[request.dataset or ""], full_hyperparameters(request))
            for row in self.report.rows:
                if (row["fingerprint"], row["hyperparameters"]) == wanted and _asks(row, request):
                    self._reused.append(self.report.runs[row["run"]])
                    return row
            return None

        return find

    def add(self, rows: Sequence[Row]) -> None:
        """Add the rows of one fit and write the file in one step."""
        new = Report([self._run], [row | {"run": 0} for row in rows])
        self.report = joined([self.report, new])
        facts = {"format": FORMAT, "runs": self.report.runs, "rows": self.report.rows}
        write_whole(self.path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def doubts(self) -> list[str]:
        """Return how the reused rows were measured differently from now."""
        doubts, now = [], self._run
        if any(run["git"] != now["git"] for run in self._reused):
            doubts.append(
                "Some rows kept from before were measured with another state of the code."
            )
        if any(run["machine"] != now["machine"] for run in self._reused):
            doubts.append("Some rows kept from before were measured on another machine or threads.")
        if any(run["libraries"] != now["libraries"] for run in self._reused):
            doubts.append("Some rows kept from before were measured with other library versions.")
        return doubts


class _Fingerprints(dict[str, str]):
    """The fingerprint of each data set by name, looked up once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, name: str) -> str:
        with open_store(self._settings) as store:
            self[name] = store.datasets.get(name or None).fingerprint
        return self[name]


def _asks(row: Row, request: TrainRequest) -> bool:
    try:
        return TrainRequest.of(**row["request"]) == request
    except MovierecError:  # of a version that knew other fields
        return False


def run_facts(command: str, settings: Settings) -> dict[str, Any]:
    """Return the run of rows measured from now on: date, command, machine, libraries, commit."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": _machine(settings),
        "libraries": library_versions(),
        "git": git_state(project_root()),
    }


def _machine(settings: Settings) -> dict[str, Any]:
    """Return what kind of machine it is, nothing that tells which one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return {
        "cpu": _cpu(),
        "cores": cores,
        "threads": settings.threads or (int(limit) if limit.isdecimal() else cores),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": f"{_system()} {platform.machine()}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
