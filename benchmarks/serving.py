"""A version's answers measured in one process: one user, everybody, newcomers, reasons, a start.

python benchmarks/serving.py everything

`known`, `all` (of the users) and the others measure one part; what a report has of the rest stays.
All of it takes some minutes and wants a machine with nothing else to do. It needs the packages of
`make bench`, for implicit is measured beside movierec.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import implicit
from live import answers, answers_page
from live.report import measure

from movierec.errors import MovierecError
from movierec.inference import load_version
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.data import fetch_and_import

DATA_SET = "ml-100k"
PARTS: Mapping[str, Callable[[answers.Bench], dict[str, Any]]] = {
    "known": answers.known, "all": answers.everybody, "newcomer": answers.newcomer,
    "explain": answers.explain, "start": answers.start, "files": answers.files,
}  # fmt: skip
EVERYTHING = "everything"


def main() -> int:
    """Measure what was asked for, write the report and its page, say where they are."""
    options = _options()

    def bench(settings: Settings) -> answers.Bench:
        environment = os.environ | {"MOVIEREC_HOME": str(settings.home)}
        _prepare(settings, environment)
        version = load_version(options.version, settings)
        return answers.Bench(version, options.rounds, environment)

    libraries = {"implicit": implicit.__version__}
    return measure(options, PARTS, "serving", bench, answers_page.page, libraries)


def _options() -> argparse.Namespace:
    folder = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*PARTS, EVERYTHING])
    parser.add_argument("--out", type=Path, default=folder / "serving.json")
    parser.add_argument("--page", type=Path, default=folder / "SERVING.md")
    parser.add_argument("--rounds", type=int, default=21, help="turns of what is done as a whole")
    parser.add_argument("--version", default="current", help="which version answers")
    parser.add_argument("--home", type=Path, help="project folder; default: a new one, deleted")
    return parser.parse_args()


def _prepare(settings: Settings, environment: Mapping[str, str]) -> None:
    """Import the data set and train a version, unless that is there already."""
    fetch_and_import(settings, DATA_SET)
    with open_store(settings) as store:
        if store.versions.current() is not None:
            return
    command = [sys.executable, "-m", "movierec", "train"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MovierecError("The version could not be trained.", hint=done.stderr[-500:])


if __name__ == "__main__":
    sys.exit(main())
