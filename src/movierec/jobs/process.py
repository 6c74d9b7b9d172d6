"""`python -m movierec.jobs.process RUN`: the process of one run."""

from __future__ import annotations

import signal
import sys

from movierec.errors import MovierecError
from movierec.jobs.execute import execute
from movierec.runtime import configure_logging
from movierec.settings import load_settings
from movierec.store.records import RunState

__all__ = ["main"]

# not "cancelled": a run may be cancelled while its process is still starting
STATES: tuple[RunState, ...] = ("queued", "interrupted", "failed")
STOPPED = 130


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
