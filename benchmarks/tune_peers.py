"""Hyperparameters of the baselines, chosen on the validation part of one split.

python benchmarks/tune_peers.py [--split random] [--peers als,bpr] [--trials 40] [--cpu-seconds 240]

The train part fits, the validation part scores: RMSE where a baseline predicts ratings, NDCG@10
`full` with threshold 0 where it only ranks. The test part stays closed. The first trial of each
is what the baseline has as defaults; Optuna's TPE with a fixed seed chooses the others, as many
as `--trials` and `--cpu-seconds` allow for each. Writes peers-SPLIT.json and peers-SPLIT.md into
`--out` and prints the winners as a mapping.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from movierec.data.dataset import Dataset, Interactions
from movierec.data.splits import SPLIT_NAMES, SplitSpec, make_split
from movierec.evaluation.ranking import ranking_at_k
from movierec.evaluation.ratings import predict_ratings, rmse
from movierec.models.factory import BASELINES, make_baseline
from movierec.models.protocol import Recommender
from movierec.runtime import library_versions
from movierec.settings import load_settings
from movierec.store import open_store

Space = Callable[[optuna.Trial], dict[str, Any]]
SEED = 0


def _biases(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "user_regularization": trial.suggest_float("user_regularization", 1, 50, log=True),
        "movie_regularization": trial.suggest_float("movie_regularization", 1, 50, log=True),
    }


def _svd(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [20, 50, 100, 200]),
        "epochs": trial.suggest_int("epochs", 10, 80),
        "learning_rate": trial.suggest_float("learning_rate", 0.002, 0.02, log=True),
        "regularization": trial.suggest_float("regularization", 0.01, 0.2, log=True),
    }


def _svdpp(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [10, 20, 40]),
        "epochs": trial.suggest_int("epochs", 10, 40),
        "learning_rate": trial.suggest_float("learning_rate", 0.003, 0.015, log=True),
        "regularization": trial.suggest_float("regularization", 0.01, 0.15, log=True),
    }


def _knn(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "based_on": trial.suggest_categorical("based_on", ["movies", "users"]),
        "neighbours": trial.suggest_int("neighbours", 10, 100),
        "min_neighbours": trial.suggest_int("min_neighbours", 1, 8),
        "shrinkage": trial.suggest_float("shrinkage", 10, 400, log=True),
    }


def _ease(trial: optuna.Trial) -> dict[str, Any]:
    return {"regularization": trial.suggest_float("regularization", 50, 3000, log=True)}


def _als(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [16, 32, 48, 64, 96, 128]),
        "epochs": trial.suggest_int("epochs", 5, 40),
        "regularization": trial.suggest_float("regularization", 0.01, 100, log=True),
        "confidence": trial.suggest_float("confidence", 0.5, 40, log=True),
    }


def _bpr(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [8, 16, 32, 64, 128]),
        "epochs": trial.suggest_int("epochs", 20, 500, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.001, 0.1, log=True),
        "regularization": trial.suggest_float("regularization", 0.001, 0.2, log=True),
    }


def _lightgcn(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [32, 64, 128]),
        "num_layers": trial.suggest_int("num_layers", 1, 4),
        "epochs": trial.suggest_int("epochs", 10, 60),
        "learning_rate": trial.suggest_float("learning_rate", 0.005, 0.1, log=True),
        "regularization": trial.suggest_float("regularization", 1e-6, 1e-1, log=True),
    }


def _myfm(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "factors": trial.suggest_int("factors", 4, 16),
        "samples": trial.suggest_categorical("samples", [100, 200, 300]),
    }


SPACES: dict[str, Space] = {
    "biases": _biases, "svd": _svd, "svdpp": _svdpp, "knn": _knn, "myfm": _myfm,
    "ease": _ease, "als": _als, "bpr": _bpr, "lightgcn": _lightgcn,
}  # fmt: skip


def main() -> None:
    """Tune, write both files and print the winners as a mapping."""
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_store(load_settings()) as store:
        dataset = store.datasets.load(options.dataset)
    split = make_split(dataset, SplitSpec(name=options.split))
    parts = (dataset.ratings.take(split.train), dataset.ratings.take(split.validation))
    rows = []
    for name in options.peers.split(","):
        rows.append(_tuned(name, dataset, *parts, options))
        print(_line(rows[-1]), flush=True)
    _write(options.out / f"peers-{options.split}", split.spec.label, rows)
    print(json.dumps({row["peer"]: row["hyperparameters"] for row in rows}, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="name of the data set; default: the newest")
    parser.add_argument("--split", default="random", choices=SPLIT_NAMES)
    parser.add_argument("--peers", default=",".join(SPACES), help="baselines, joined with commas")
    parser.add_argument("--trials", type=int, default=40, help="at most, for each of them")
    parser.add_argument("--cpu-seconds", type=float, default=240, help="to spend on each of them")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    return parser.parse_args()


def _tuned(
    name: str,
    dataset: Dataset,
    train: Interactions,
    validation: Interactions,
    options: argparse.Namespace,
) -> dict[str, Any]:
    rating = BASELINES[name].predicts_ratings
    end = time.process_time() + options.cpu_seconds

    def objective(trial: optuna.Trial) -> float:
        started = time.process_time()
        model = make_baseline(name, SPACES[name](trial)).fit(dataset, train, seed=SEED)
        trial.set_user_attr("fit_seconds", time.process_time() - started)
        return (_rmse if rating else _ndcg)(model, dataset, train, validation)

    study = optuna.create_study(
        direction="minimize" if rating else "maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED, n_startup_trials=8),
    )
    study.enqueue_trial(BASELINES[name].hyperparameters().model_dump())
    study.optimize(objective, n_trials=options.trials, callbacks=[_stop_at(end)])
    return {
        "peer": name,
        "metric": "RMSE" if rating else "NDCG@10",
        "first": study.trials[0].value,
        "best": study.best_value,
        "trials": len(study.trials),
        "fit_seconds": study.best_trial.user_attrs["fit_seconds"],
        "hyperparameters": {key: _rounded(value) for key, value in study.best_params.items()},
    }


def _stop_at(end: float) -> Callable[[optuna.Study, optuna.trial.FrozenTrial], None]:
    def stop(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        del trial
        if time.process_time() > end:
            study.stop()

    return stop


def _rmse(
    model: Recommender, dataset: Dataset, train: Interactions, validation: Interactions
) -> float:
    del train
    return rmse(predict_ratings(model, dataset, validation), validation.rating)


def _ndcg(
    model: Recommender, dataset: Dataset, train: Interactions, validation: Interactions
) -> float:
    users = np.unique(validation.user)
    shape = (dataset.n_users, dataset.n_movies)
    seen, relevant = (part.matrix(*shape)[users] for part in (train, validation))
    return ranking_at_k(model.score(users), seen, relevant).summary()["ndcg_at_10"]


def _rounded(value: Any) -> Any:
    return float(f"{value:.2g}") if isinstance(value, float) else value


def _write(stem: Path, split: str, rows: list[dict[str, Any]]) -> None:
    facts = {
        "split": split,
        "command": f"python {' '.join(sys.argv)}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": library_versions(),
    }
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(facts | {"peers": rows}, indent=2) + "\n")
    head = "| peer | metric | first trial | best | trials | fit CPU s | best hyperparameters |"
    lines = [head, "|---" * 7 + "|", *map(_line, rows)]
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n")


def _line(row: dict[str, Any]) -> str:
    values = ", ".join(f"{key} {value}" for key, value in row["hyperparameters"].items())
    return (
        f"| {row['peer']} | {row['metric']} | {row['first']:.4f} | {row['best']:.4f} | "
        f"{row['trials']} | {row['fit_seconds']:.1f} | {values} |"
    )


if __name__ == "__main__":
    main()
