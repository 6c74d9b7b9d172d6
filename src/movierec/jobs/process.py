"""The process of a run, `python -m movierec.jobs.process RUN`, and how one is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from movierec.errors import MovierecError
from movierec.jobs.execute import execute
from movierec.runtime import configure_logging
from movierec.settings import Settings, load_settings
from movierec.store import RunRecord
from movierec.store.records import RunState

__all__ = ["SPINS", "main", "start_process", "start_run"]

# Threads of torch that spin while they wait for one another take the core from the one they
# wait for as soon as a second program wants it, and epochs take several times as long; threads
# that sleep at once wake too late where they are alone (benchmarks/DASHBOARD.md).
SPINS = "2500"
# not "cancelled": a run may be cancelled while its process is still starting
STATES: tuple[RunState, ...] = ("queued", "interrupted", "failed")
STOPPED = 130


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


def main(arguments: list[str]) -> int:
    """Do the run; return 0 when it succeeded, else an exit code of the command line."""
    _end_cleanly()
    configure_logging()
    try:
        run = execute(load_settings(), int(arguments[0]), states=STATES)
    except MovierecError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return STOPPED
    return 0 if run.state == "succeeded" else STOPPED


def _end_cleanly() -> None:
    """Make Ctrl-C of a process that asks it to end, and hear Ctrl-C in any case.

    A shell starts background jobs with SIGINT ignored, and their children inherit that; a
    cancellation, which works like Ctrl-C, would never arrive.
    """
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
