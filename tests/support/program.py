"""The command line as `python -m movierec` runs it, in this process, under no name from inside."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["Said", "environment_of", "inside", "none_detached", "run"]


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """What it printed as JSON; the command must have succeeded."""
        assert self.code == 0, self.err
        return json.loads(self.out)


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment of a process that works on this home and on one thread.

    Nothing in the home is ever too old: what is in the trash, and checkpoints of ended runs.
    """
    mine = {
        "MOVIEREC_HOME": str(home), "MOVIEREC_DEVICE": "cpu", "MOVIEREC_THREADS": "1",
        "MOVIEREC_TRASH_DAYS": "36500", "MOVIEREC_KEEP_CHECKPOINTS_DAYS": "36500",
        "MOVIEREC_WORKER_IDLE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "100",
    }  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MOVIEREC_")}
    return kept | mine


def run(home: Path, *arguments: object) -> Said:
    """Call the command line on a home; the home is also its working folder."""
    out, err = io.StringIO(), io.StringIO()
    with inside(home), _typed(arguments), redirect_stdout(out), redirect_stderr(err):
        code = _code()
    return Said(code, out.getvalue(), err.getvalue())


def _code() -> int:
    try:
        runpy.run_module("movierec", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@contextmanager
def _typed(arguments: tuple[object, ...]) -> Iterator[None]:
    argv, stdin = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["movierec", *map(str, arguments)], io.StringIO()
    try:
        yield
    finally:
        sys.argv, sys.stdin = argv, stdin


@contextmanager
def inside(home: Path) -> Iterator[None]:
    """Make a home the working folder of this process, and what its environment points to."""
    folder, environment = Path.cwd(), dict(os.environ)
    _set(environment_of(home))
    os.chdir(home)
    try:
        yield
    finally:
        _set(environment)
        os.chdir(folder)


def _set(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


@contextmanager
def none_detached() -> Iterator[None]:
    """Let no process be started that lives on by itself, as workers do; runs stay queued."""
    popen = subprocess.Popen

    def instead(*arguments: Any, **options: Any) -> Any:
        if options.get("start_new_session"):
            return SimpleNamespace(pid=2**30, wait=lambda: 0, poll=lambda: 0)
        return popen(*arguments, **options)

    subprocess.Popen = instead  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        subprocess.Popen = popen  # type: ignore[misc]
