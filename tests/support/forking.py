"""Children to kill, forked by a process that has already imported what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Victims:
    """Hands orders to the forking process."""

    process: subprocess.Popen[str]

    def run(self, order: Any) -> int:
        """Return the child's exit code: 0, or -9 when it was killed; `order` is a dataclass."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self.process.stdin.write(json.dumps(asdict(order)) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def forking(*arguments: str) -> Iterator[Victims]:
    """Keep `python *arguments`, the forking process, until the block ends."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT,
    ) as process:  # fmt: skip
        yield Victims(process)
        if process.stdin is not None:
            process.stdin.close()


def serve(order: Callable[..., Any], work: Callable[[Any], None]) -> None:
    """Read one order per line, fork a child that does its work, and write its exit code."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                work(order(**json.loads(line)))
                status = 0
            finally:
                os._exit(status)  # a timer that has not fired must not hold the child
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
