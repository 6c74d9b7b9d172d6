"""The REST API measured: start, load, versions that change meanwhile, memory over ten minutes.

python benchmarks/api.py all

`start`, `load`, `swap` and `soak` measure one part; what a report has of the others stays. All of
it takes about a quarter of an hour and wants a Linux machine with two cores and nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fastapi
import uvicorn
import uvloop
from live import api_page, serving
from live.report import measure

from movierec.errors import MovierecError
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.data import fetch_and_import

LIBRARIES = {
    "fastapi": fastapi.__version__,
    "uvicorn": uvicorn.__version__,
    "uvloop": uvloop.__version__,
}
PARTS: Mapping[str, Callable[[serving.Bench], dict[str, Any]]] = {
    "start": serving.start, "load": serving.load, "swap": serving.swap, "soak": serving.soak,
}  # fmt: skip


def main() -> int:
    """Measure what was asked for, write the report and its page, say where they are."""
    options = _options()

    def bench(settings: Settings) -> serving.Bench:
        return serving.Bench(settings, options.seconds, options.soak, _prepare(settings))

    return measure(options, PARTS, "api", bench, api_page.page, LIBRARIES)


def _options() -> argparse.Namespace:
    folder = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--out", type=Path, default=folder / "api.json")
    parser.add_argument("--page", type=Path, default=folder / "API.md")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    parser.add_argument("--soak", type=float, default=600.0, help="seconds of the long load")
    parser.add_argument("--home", type=Path, help="project folder; default: a new one, deleted")
    return parser.parse_args()


def _prepare(settings: Settings) -> tuple[str, str]:
    """Import the data set and train two versions, unless they are there; the first is current."""
    fetch_and_import(settings, "ml-100k")
    with open_store(settings) as store:
        known = sorted(version.name for version in store.versions.list())
    for seed in range(len(known), 2):
        _movierec(settings, "train", "--seed", str(seed), "--no-current")
    first, second = (known + ["v1.0.0", "v1.1.0"][len(known) :])[:2]
    _movierec(settings, "versions", "promote", first, "--override", "measured next")
    return first, second


def _movierec(settings: Settings, *arguments: str) -> None:
    environment = os.environ | {"MOVIEREC_HOME": str(settings.home)}
    command = [sys.executable, "-m", "movierec", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MovierecError(f"{' '.join(arguments)} failed.", hint=done.stderr[-500:])


if __name__ == "__main__":
    sys.exit(main())
