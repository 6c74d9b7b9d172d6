"""A report whose parts are measured one by one, and its page."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from movierec.settings import Settings, project_root
from movierec.workflows.benchmark_report import circumstances, write_whole

__all__ = ["keep"]

FORMAT = 1


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
    run = circumstances(f"python {shlex.join(_told())}", settings)
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
