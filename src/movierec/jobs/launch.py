"""Starting processes that outlive the one that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from movierec.processes import own_mark
from movierec.settings import Settings
from movierec.store import RunRecord

__all__ = ["SPINS", "only_host", "start_process", "start_run"]

# Threads of torch that spin while they wait for one another take the core from the one they
# wait for as soon as a second program wants it, and epochs take several times as long; threads
# that sleep at once wake too late where they are alone (benchmarks/DASHBOARD.md).
SPINS = "2500"


def only_host(settings: Settings) -> str:
    """Return for which host work on a file of this one is kept; empty: nobody else could take it.

    A database that is a file is of one machine, which may be called otherwise tomorrow.
    """
    return own_mark().host if settings.database_path is None else ""


def start_process(
    settings: Settings, module: str, *arguments: str, log: Path, append: bool = True
) -> subprocess.Popen[bytes]:
    """Run `python -m module` detached, in a session of its own, with the settings in force.

    Raises:
        OSError: it cannot be started, or its log cannot be written.

    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab" if append else "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=_environment(settings), cwd=settings.home,
        )  # fmt: skip


def start_run(settings: Settings, run: RunRecord) -> subprocess.Popen[bytes]:
    """Start the process of one run; see `start_process`."""
    # a log left by a run of the same number in an earlier database is not this run's
    return start_process(
        settings, "movierec.jobs.process", str(run.id),
        log=Path(run.log_path), append=run.started_at is not None,
    )  # fmt: skip


def _environment(settings: Settings) -> dict[str, str]:
    """Return this environment with the settings in force, whatever they were read from."""
    values = {f"MOVIEREC_{k.upper()}": str(v) for k, v in settings.model_dump(mode="json").items()}
    waits = {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": SPINS}
    return {**waits, **os.environ, **values}
