"""`python -m movierec`: the command line, where no `movierec` is on the PATH."""

from __future__ import annotations

from movierec.cli import main

if __name__ == "__main__":
    main()
