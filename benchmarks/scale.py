"""Import, training, evaluation and the sparse product at growing sizes, on made-up ratings.

python benchmarks/scale.py train --sizes 10,32

`all` measures every part; what a report has of the other parts and sizes stays, and `--missing`
leaves out what it has already. Every measurement is a process of its own. The data sets are made
once (seed 1) and kept in `.cache/scale` with a project each. `fit`, which follows of itself,
measures nothing: it fits the cost model to the steps that were measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from live.report import measure
from live.scale_fit import fitted
from live.scale_page import page

from movierec.errors import MovierecError
from movierec.settings import Settings, project_root
from movierec.store import open_store

FOLDER = Path(__file__).resolve().parent
CHILD, WORKERS = FOLDER / "live" / "scale_child.py", FOLDER / "workers.py"
# millions of ratings
SIZES = {"0.1": "ml-100k", "1": "ml-1m", "10": "ml-10m", "25": "ml-25m", "32": "ml-32m"}
BASE = {"hidden_dim": 64, "num_layers": 2}
SMALLEST = "0.1"
GRID = (
    {"hidden_dim": 32}, {"hidden_dim": 128}, {"num_layers": 1}, {"num_layers": 3},
    {"hidden_dim": 128, "num_layers": 1},
)  # fmt: skip
TRAIN_SHARE = 0.72  # a fifth is the test part, a tenth of the rest validation
# benchmarks/README.md: the best of the search on MovieLens 100K
PEERS: Mapping[str, dict[str, float]] = {
    "biases": {"user_regularization": 2.1, "movie_regularization": 2.8},
    "svd": {"factors": 200, "epochs": 80, "learning_rate": 0.0044, "regularization": 0.087},
}
MOST_EPOCHS = 64  # the preset's
FIT_SHARE = 0.75  # of the hour, for the passes; the rest is for data, evaluation and saving


@dataclass(frozen=True)
class Bench:
    """What was asked for, and where data sets and projects are kept."""

    options: argparse.Namespace
    settings: Settings

    def files(self, size: str) -> Path:
        """Return the folder of a data set's files, which are made where they are missing."""
        folder = self.settings.home / "sources" / SIZES[size]
        if not folder.is_dir():
            self.child("made", size, folder=str(folder))
        return folder

    def project(self, size: str) -> Path:
        """Return the project folder of a size; its data set is imported where it is missing."""
        home = self.settings.home / "projects" / SIZES[size]
        if not (home / "imported").exists():
            imported(self, size)
        return home

    def child(self, work: str, size: str, **told: Any) -> dict[str, Any]:
        """Measure in a process of its own."""
        home = self.settings.home / "projects" / SIZES[size]
        told = {"home": str(home), "name": SIZES[size], **told}
        found: dict[str, Any] = json.loads(_said(CHILD, work, json.dumps(told)).splitlines()[-1])
        return found


def _said(script: Path, *words: str, **environment: str) -> str:
    """Return what a script prints."""
    done = subprocess.run(
        [sys.executable, str(script), *words], stdout=subprocess.PIPE, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    if done.returncode:
        raise MovierecError(
            f"{script.name} {' '.join(words)} failed.", hint="Its error stands above."
        )
    return done.stdout


def imported(bench: Bench, size: str) -> dict[str, Any]:
    """Import into an empty project."""
    folder = bench.files(size)
    home = bench.settings.home / "projects" / SIZES[size]
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    found = bench.child("imported", size, folder=str(folder))
    (home / "imported").touch()
    return found


def opened(bench: Bench, size: str) -> dict[str, Any]:
    """Open the data set again, each time in a new process; the median counts."""
    bench.project(size)
    found = [bench.child("opened", size) for _ in range(bench.options.times)]
    middle = median(each["seconds"] for each in found)
    return {**found[0], "seconds": middle, "peak_mb": max(each["peak_mb"] for each in found)}


def trained(bench: Bench, size: str) -> dict[str, Any]:
    """Measure a pass over the ratings, and one over the smallest data in the same run."""
    found = _steps(bench, size, BASE)
    if size != SMALLEST:
        small = _steps(bench, SMALLEST, BASE)
        found["against_smallest"] = found["per_rating"] / small["per_rating"]
    return found


def costs(bench: Bench, size: str) -> dict[str, Any]:
    """Measure a pass of other models than `train` does, for the cost model."""
    third = {"graph_ratings": int(TRAIN_SHARE * 1e6 * float(size)) // 3}
    return {"points": [_steps(bench, size, {**BASE, **changes}) for changes in (*GRID, third)]}


def _steps(bench: Bench, size: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    bench.project(size)
    patience = bench.options.patience
    return bench.child("trained", size, hyperparameters=hyperparameters, patience=patience)


def whole(bench: Bench, size: str) -> dict[str, Any]:
    """Train one epoch, evaluate and keep the version, the floors measured anew."""
    home = bench.project(size)
    shutil.rmtree(home / "data" / "cache" / "floors", ignore_errors=True)
    return bench.child("whole", size, hyperparameters={**BASE, "epochs": 1})


def product(bench: Bench, size: str) -> dict[str, Any]:
    """Measure the sparse products beside the copying of memory."""
    bench.project(size)
    return bench.child("product", size, width=BASE["hidden_dim"])


def accuracy(bench: Bench, size: str) -> dict[str, Any]:
    """Train within the budget and compare with biases, SVD and the best possible prediction."""
    bench.project(size)
    truth = json.loads((bench.files(size) / "truth.json").read_text("utf-8"))
    changes = bench.options.hyperparameters
    probe = _steps(bench, size, changes)
    epoch = probe["pass"] + (probe["validation"] or 0.0)
    epochs = max(1, min(MOST_EPOCHS, int(FIT_SHARE * bench.options.budget / epoch)))
    found: dict[str, Any] = {
        "floor": truth["floor_rmse"], "budget": bench.options.budget, "changes": changes,
        "default": bench.child("whole", size, hyperparameters={**changes, "epochs": epochs}),
    }  # fmt: skip
    for preset, hyperparameters in PEERS.items():
        found[preset] = bench.child("whole", size, preset=preset, hyperparameters=hyperparameters)
    return found


def workers(bench: Bench, size: str) -> dict[str, Any]:
    """Train by one and by two workers on Ray, each on a core of its own."""
    home = bench.project(size)
    words = ("--json", "--dataset", SIZES[size])
    return {"rows": json.loads(_said(WORKERS, *words, MOVIEREC_HOME=str(home)))}


def pages(bench: Bench, size: str) -> dict[str, Any]:
    """Open every view of the dashboard, in a project with two versions at least."""
    from live import views  # needs a browser, as no other part does
    from live.browser import chromium

    settings = Settings(home=bench.project(size))
    with open_store(settings) as store:
        versions = len(store.versions.list())
    for preset in ("default", "biases")[versions:]:
        hyperparameters = {**BASE, "epochs": 1} if preset == "default" else {}
        bench.child("whole", size, preset=preset, hyperparameters=hyperparameters)
    with chromium() as browser:
        return views.measure(settings, browser, bench.options.openings, lambda _: True)


PARTS: Mapping[str, Callable[[Bench, str], dict[str, Any]]] = {
    "import": imported, "open": opened, "train": trained, "cost": costs, "whole": whole,
    "product": product, "accuracy": accuracy, "pages": pages, "workers": workers,
}  # fmt: skip
FIT = "fit"


def main() -> int:
    """Measure what was asked for, write the report and its page, say where they are."""
    options = _options()
    chosen = [options.part] if options.part in PARTS else [*PARTS] if options.part == "all" else []
    known = _known(options.out)
    parts: dict[str, Callable[[Bench], dict[str, Any]]] = {
        f"{part}, {size}": partial(_measured, part=part, size=size)
        for part in chosen
        for size in options.sizes
        if not (options.missing and f"{part}, {size}" in known)
    }
    parts[FIT] = lambda bench: fitted(_known(bench.options.out))
    options.part = ""  # all that are chosen
    write = partial(page, path=options.page)
    return measure(options, parts, "scale", partial(Bench, options), write, {})


def _measured(bench: Bench, part: str, size: str) -> dict[str, Any]:
    return {"size": size, **PARTS[part](bench, size)}


def _known(path: Path) -> dict[str, Any]:
    """Return what the report holds of each part and size."""
    if not path.exists():
        return {}
    parts: dict[str, Any] = json.loads(path.read_text("utf-8"))["parts"]
    return parts


def _options() -> argparse.Namespace:
    root = project_root()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*PARTS, FIT, "all"])
    parser.add_argument("--sizes", type=_sizes, default=["0.1", "1"], help="millions: 0.1,1,10,32")
    parser.add_argument("--missing", action="store_true", help="only what the report has not yet")
    parser.add_argument("--out", type=Path, default=FOLDER / "scale.json")
    parser.add_argument("--page", type=Path, default=root / "docs" / "SCALE.md")
    parser.add_argument("--times", type=int, default=3, help="openings of a data set")
    parser.add_argument("--openings", type=int, default=10, help="of each page")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds of steps, at least")
    parser.add_argument(
        "--hyperparameters", type=json.loads, default={}, help="JSON, changes for accuracy"
    )
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds for accuracy")
    parser.add_argument(
        "--home", type=Path, default=root / ".cache" / "scale", help="keeps data and projects"
    )
    return parser.parse_args()


def _sizes(text: str) -> list[str]:
    sizes = [size for size in text.split(",") if size]
    unknown = [size for size in sizes if size not in SIZES]
    if unknown or not sizes:
        raise argparse.ArgumentTypeError(f"use some of {', '.join(SIZES)}, not {text!r}")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
