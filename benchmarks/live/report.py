"""A report whose parts are measured one by one, and its page."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from movierec.benchmark.report import run_facts, write_whole
from movierec.errors import MovierecError
from movierec.settings import Settings, project_root

__all__ = ["keep", "measure"]

FORMAT = 1
B = TypeVar("B")


def measure(
    options: argparse.Namespace, parts: Mapping[str, Callable[[B], dict[str, Any]]], name: str,
    bench: Callable[[Settings], B], page: Callable[[Mapping[str, Any]], str],
    libraries: Mapping[str, str],
) -> int:  # fmt: skip
    """Measure the part that was asked for, or all, keep each, and return an exit code.

    `bench` makes a project folder ready and returns what the parts work with; the folder is a new
    one, deleted afterwards, unless `options.home` names one.
    """
    chosen = [options.part] if options.part in parts else [*parts]
    try:
        with tempfile.TemporaryDirectory(prefix=f"movierec-{name}-") as folder:
            settings = Settings(home=options.home or Path(folder))
            settings.home.mkdir(parents=True, exist_ok=True)
            ready = bench(settings)
            for part in chosen:
                print(f"{part} …", flush=True)
                keep(options, part, parts[part](ready), settings, page, libraries)
    except MovierecError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out} and {options.page}")
    return 0


def keep(
    options: argparse.Namespace, part: str, found: dict[str, Any], settings: Settings,
    page: Callable[[Mapping[str, Any]], str], libraries: Mapping[str, str],
) -> None:  # fmt: skip
    """Put a part into the report, whose other parts stay, and write the page anew.

    `options` have the paths of both, `out` and `page`.
    """
    report = {"format": FORMAT, "parts": {}}
    if options.out.exists():
        report = json.loads(options.out.read_text(encoding="utf-8"))
    run = run_facts(f"python {shlex.join(_told())}", settings)
    run["libraries"] |= libraries
    report["parts"][part] = {"run": run, "found": found}
    write_whole(options.out, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_whole(options.page, page(report))


def _told() -> list[str]:
    """Return this command without the folders of this machine, `--home` included."""
    script, words = Path(sys.argv[0]).resolve(), sys.argv[1:]
    root = project_root()
    known = [script.relative_to(root)] if script.is_relative_to(root) else [script]
    if "--home" in words:
        place = words.index("--home")
        del words[place : place + 2]
    return [str(known[0]), *words]
