"""Models side by side: the same split, the same evaluation code, a process for each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from movierec.benchmark.report import ReportFile
from movierec.benchmark.row import Row, label_of
from movierec.errors import EvaluationError
from movierec.progress import Progress, silent
from movierec.settings import Settings
from movierec.workflows.requests import TrainRequest
from movierec.workflows.train import prepare

__all__ = ["benchmark"]


def benchmark(
    requests: Sequence[TrainRequest],
    settings: Settings,
    *,
    report: ReportFile | None = None,
    on_progress: Progress | None = None,
) -> list[Row]:
    """Return one row per request, in their order; `measure_rows` says what a row holds.

    Each model is fitted and measured in a process of its own, one after the other, so that its
    peak memory is its own (torch included where the model needs it) and it has all cores. One
    fit serves requests that differ only in how many ratings of new users are given. A row that
    is in the report already is not measured again; each fit's rows are added to it as it ends.

    Raises:
        HyperparameterError, NotFoundError, SplitError, SettingsError: one of the requests cannot
            be done; then none is.
        EvaluationError: a model failed; the message holds its error.

    """
    tell = on_progress or silent
    for request in requests:
        request.check()
    ready = [prepare(request, settings).request for request in requests]
    rows = _known(ready, settings, report)
    jobs = _jobs(ready, [place for place in range(len(ready)) if place not in rows])
    for number, places in enumerate(jobs):
        job = [ready[place] for place in places]
        tell(_named(job[0]), number / len(jobs))
        measured = _in_own_process(job, settings)
        if report is not None:
            report.add(measured)
        rows |= zip(places, measured, strict=True)
    return [rows[place] for place in range(len(ready))]


def _known(
    requests: Sequence[TrainRequest], settings: Settings, report: ReportFile | None
) -> dict[int, Row]:
    if report is None:
        return {}
    find = report.finder(settings)
    return {place: row for place, request in enumerate(requests) if (row := find(request))}


def _jobs(requests: Sequence[TrainRequest], places: Sequence[int]) -> list[list[int]]:
    """Group the places of requests that one fit can serve."""
    jobs: dict[str, list[int]] = {}
    for place in places:
        jobs.setdefault(_fit_of(requests[place]).model_dump_json(), []).append(place)
    return list(jobs.values())


def _fit_of(request: TrainRequest) -> TrainRequest:
    """Return the request without what moves ratings between support and test part only."""
    if request.split.name != "cold-users":
        return request
    return request.model_copy(update={"split": request.split.model_copy(update={"given": 0})})


def _named(request: TrainRequest) -> str:
    return f"{label_of(request)}, seed {request.seed}, {request.split.label}"


def _in_own_process(job: Sequence[TrainRequest], settings: Settings) -> list[Row]:
    requests = [request.model_dump(mode="json") for request in job]
    line = json.dumps({"requests": requests, "settings": settings.model_dump(mode="json")})
    code, out, err = _run([sys.executable, "-m", "movierec.benchmark.row"], line)
    if code:
        raise EvaluationError(
            f"{label_of(job[0])}, seed {job[0].seed}, failed: {_cause(code, err)}",
            hint="Leave it out of --models to compare the others.",
        )
    rows: list[Row] = json.loads(out.splitlines()[-1])
    return rows


def _run(command: Sequence[str], line: str) -> tuple[int, str, str]:
    """Run a command on one line of input; its stdin stays open, to tell it that we live."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            _send(process, line)
            out = process.stdout.read() if process.stdout else ""
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        return code, out, errors.read()


def _send(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin:
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        except BrokenPipeError:  # it ended before it read; its exit code says why
            pass


def _cause(code: int, err: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}, perhaps for want of memory."
    lines = err.strip().splitlines()
    return lines[-1] if lines else f"its process ended with exit code {code}."
