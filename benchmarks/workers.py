"""Workers on Ray against one: seconds per epoch, alternating, and whether the curves are the same.

make ray
movierec data synthesize --like ml-10m --seed 1 --out ml-10m
movierec data import ml-10m
python benchmarks/workers.py --dataset ml-10m --workers 1,2 --epochs 3 --rounds 2

Every worker has one core and one thread. Dropout is 0, so that nothing random differs between
numbers of workers. The first epoch of a training, which touches everything for the first time,
counts to no figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from movierec.cluster.engine import RayEngine
from movierec.cluster.train import fit_on_ray
from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.errors import MovierecError
from movierec.settings import Settings, load_settings
from movierec.store import open_store
from movierec.training.callbacks import EpochResult
from movierec.training.options import TrainingOptions
from movierec.workflows.requests import TrainRequest
from movierec.workflows.version import Training


def main() -> int:
    """Measure, print a table and, with --json, the figures."""
    options = _parser().parse_args()
    counts = [int(word) for word in options.workers.split(",")]
    settings = load_settings(threads=1, device="cpu")
    try:
        with open_store(settings) as store:
            dataset = store.datasets.load(options.dataset)
        curves = _measured(options, counts, settings, dataset)
    except MovierecError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    found = [_row(count, curves[count], curves[counts[0]]) for count in counts]
    print(json.dumps(found, indent=1) if options.json else _table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="name of an imported data set; default: the newest")
    parser.add_argument("--workers", default="1,2", help="numbers of workers, the first to compare")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2, help="trainings of each number")
    parser.add_argument(
        "--graph-ratings", type=int, default=0, help="as `movierec train` has it; 0: chosen"
    )
    parser.add_argument("--json", action="store_true")
    return parser


def _measured(
    options: argparse.Namespace, counts: Sequence[int], settings: Settings, dataset: Dataset
) -> dict[int, list[Sequence[EpochResult]]]:
    split = make_split(dataset, TrainRequest().split)
    curves: dict[int, list[Sequence[EpochResult]]] = {count: [] for count in counts}
    for number in range(options.rounds):
        for count in counts:
            print(f"round {number + 1}, {count} workers …", file=sys.stderr, flush=True)
            request = _request(dataset.name, count, options)
            curves[count].append(_curve(request, settings, dataset, split))
    return curves


def _request(dataset: str, workers: int, options: argparse.Namespace) -> TrainRequest:
    return TrainRequest.of(
        dataset=dataset,
        engine={"name": "ray", "workers": workers},
        hyperparameters={
            "hidden_dim": 64, "epochs": options.epochs, "dropout": 0.0, "feature_dropout": 0.0,
            "graph_ratings": options.graph_ratings,
        },
    )  # fmt: skip


def _curve(
    request: TrainRequest, settings: Settings, dataset: Dataset, split: Split
) -> Sequence[EpochResult]:
    engine = RayEngine(request.engine, settings)
    options = TrainingOptions(device=engine.device(settings.device), seed=request.seed)
    training = Training(request, dataset, split, options)
    return fit_on_ray(request.engine, settings, training).first.result.history


def _row(
    workers: int, curves: Sequence[Sequence[EpochResult]], alone: Sequence[Sequence[EpochResult]]
) -> dict[str, Any]:
    gaps = [
        abs(a - b)
        for ours, theirs in zip(curves, alone, strict=True)
        for x, y in zip(ours, theirs, strict=True)
        for a, b in (
            (x.train_loss, y.train_loss),
            (x.val_loss, y.val_loss),
            (x.val_rmse, y.val_rmse),
        )
    ]
    return {
        "workers": workers,
        "seconds_per_epoch": round(_seconds(curves), 3),
        "times_as_fast": round(_seconds(alone) / _seconds(curves), 3),
        "largest_difference": max(gaps),
        "last_val_rmse": curves[0][-1].val_rmse,
    }


def _seconds(curves: Sequence[Sequence[EpochResult]]) -> float:
    return median(epoch.seconds for curve in curves for epoch in curve[1:] or curve)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| workers | s per epoch | times as fast | curves differ by | val. RMSE |"]
    lines += ["|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {row['workers']} | {row['seconds_per_epoch']:.2f} | {row['times_as_fast']:.2f} "
        f"| {row['largest_difference']:.1e} | {row['last_val_rmse']:.4f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
