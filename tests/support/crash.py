"""Processes for tests, killed or side by side: forked by a server, so that each costs little."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# What changes files, and every `os.open`, with which files and folders are flushed. SQLite's
# own work lies between these.
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "sqlite3.connect"}


def _counts(event: str, details: tuple[Any, ...]) -> bool:
    return event in _CHANGES or (event == "open" and details[1] not in ("r", "rb"))


def _context(module: str) -> Any:
    context = multiprocessing.get_context("forkserver")
    # the server is started once: what the modules of later tests bring along is named as well
    shared = ["movierec.registry", "alembic.command", "pytest", "tests.support.factories"]
    context.set_forkserver_preload([*shared, module])
    return context


def _process(module: str, work: Callable[..., None], *args: Any) -> Any:
    """Return a process with this test's environment; the server has that of whoever started it."""
    everything = (dict(os.environ), work, args)
    return _context(module).Process(target=_with_environment, args=everything, daemon=True)


def _with_environment(
    environment: dict[str, str], work: Callable[..., None], args: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    work(*args)


@contextmanager
def _plain_main() -> Iterator[None]:
    """Start children without the main module, which a test of a page may have replaced."""
    kept, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = kept


def killed_after(seconds: float, work: Callable[..., None], *args: Any) -> int:
    """Run work in a process, SIGKILL it after a time, return its exit code."""
    process = _process(work.__module__, work, *args)
    with _plain_main():
        process.start()
    process.join(seconds)
    process.kill()
    return _exit_code(process)


def together(count: int, work: Callable[..., None], *args: Any) -> list[int]:
    """Run work in several processes at once; return their exit codes."""
    processes = [_process(work.__module__, work, *args) for _ in range(count)]
    with _plain_main():
        for process in processes:
            process.start()
    return [_exit_code(process) for process in processes]


def killed_at(step: int, work: Callable[..., None], *args: Any) -> bool:
    """Run work in a process that kills itself before its step-th file operation.

    Returns whether it came to that step; False means that it finished.
    """
    process = _process(work.__module__, _until, step, work, args)
    with _plain_main():
        process.start()
    process.join()
    code = _exit_code(process)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"the process ended with {code}")
    return code != 0


def _exit_code(process: Any) -> int:
    process.join()
    code: int = process.exitcode
    process.close()
    return code


def _until(step: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    count = 0

    def hook(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if _counts(event, details):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)

    sys.addaudithook(hook)
    work(*args)
    count = -sys.maxsize  # what follows is the interpreter's own end
