"""`python -m movierec.jobs.worker RUN`: the process of one run."""

from __future__ import annotations

import sys

from movierec.errors import MovierecError
from movierec.jobs.execute import execute
from movierec.runtime import configure_logging
from movierec.settings import load_settings

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Do the run and return 0 when it succeeded, 1 otherwise."""
    configure_logging()
    try:
        run = execute(load_settings(), int(arguments[0]), resume=True)
    except MovierecError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0 if run.state == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
