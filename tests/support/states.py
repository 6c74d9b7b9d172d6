"""States of a database as a page may find them, made through the real store."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.data.validation.report import DroppedRows, describe
from movierec.metadata import VersionMetadata
from movierec.settings import Settings
from movierec.store import DatasetRecord, EpochRecord, RunRecord, Store, VersionRecord, open_store
from tests.support.factories import make_dataset

NASTY = ("<script>document.title='hit'</script>", "**bold** _it_", "$a$ $b$", ":smile: :red[x]")


def opened(settings: Settings) -> Store:
    return open_store(settings)


def nasty_dataset() -> Dataset:
    """A small data set whose first titles look like HTML, Markdown and formulas."""
    data = make_dataset(n_users=60, n_movies=40)
    titles = list(data.movie_frame[Columns.TITLE])
    titles[: len(NASTY)] = NASTY
    return replace(data, movie_frame=data.movie_frame.assign(**{Columns.TITLE: titles}))


def named(data: Dataset, name: str) -> Dataset:
    return replace(data, name=name)


def add_dataset(store: Store, data: Dataset | None = None) -> DatasetRecord:
    data = data or nasty_dataset()
    report = describe(
        data,
        format="csv",
        ratings_file="ratings.csv",
        files=("ratings.csv", "movies.csv"),
        rows_read=data.n_ratings + 3,
        dropped=(
            DroppedRows("with a rating off the scale", 2, (17, 40)),
            DroppedRows("given twice", 1, (101,)),
        ),
        scale_inferred=True,
    )
    return store.datasets.add(data, report.as_dict())


def epochs(n: int = 20, best: int = 14) -> list[EpochRecord]:
    def loss(epoch: int) -> float:
        return 0.82 + 0.6 * math.exp(-epoch / 3) + 0.0008 * max(0, epoch - best) ** 2

    return [
        EpochRecord(
            epoch=e,
            train_loss=0.75 + 0.7 * math.exp(-e / 4),
            val_loss=loss(e),
            val_rmse=math.sqrt(loss(e)),
            val_ndcg_10=0.3 - 0.2 * math.exp(-e / 5),
            seconds=1.2,
            is_best=e <= best,
        )
        for e in range(1, n + 1)
    ]


def add_version(
    store: Store, data: DatasetRecord, name: str = "v1.0.0", *, preset: str = "default",
    split: str = "random", current: bool = True, history: bool = True, rmse: float = 0.9231,
    facts: dict[str, Any] | None = None,
) -> VersionRecord:  # fmt: skip
    label = "u1" if split == "u1" else f"{split} 80/20, seed 42"
    if facts is None:
        facts = metadata(name, split, history=history, rmse=rmse)
    record = VersionRecord(
        name=name, model="sage" if history else "ease", preset=preset, dataset_name=data.name,
        fingerprint=data.fingerprint, split_label=label, created_at=datetime.now(UTC),
        is_current=False, run_id=None, size_bytes=812_000, parameters=28_417 if history else 0,
        metadata=VersionMetadata.of(facts),
    )  # fmt: skip
    store.versions.add(record)
    if current:
        store.versions.set_current(name)
    return store.versions.get(name)


def metadata(name: str, split: str, *, history: bool, rmse: float) -> dict[str, Any]:
    return {
        "model_version": name,
        "training_history": [vars(e) for e in epochs()] if history else [],
        "epochs_trained": 20, "best_epoch": 14, "device": "cpu",
        "evaluation": measured(rmse, rmse * 0.79, 0.402, 0.861),
        "floors": {
            "random": measured(math.nan, math.nan, 0.028, 0.695),
            "constant": measured(1.1237, 0.9431, 0.031, 0.697),
            "popular": measured(math.nan, math.nan, 0.221, 0.779),
            "biases": measured(0.9423, 0.7441, 0.094, 0.834),
        },
        "split": {"name": split, "seed": 42},
        "durations": {"total": 92.4}, "peak_memory_mb": 842.0,
        "git": {"commit": "0123456789abcdef", "dirty": True},
    }  # fmt: skip


def measured(rmse: float, mae: float, full: float, rated: float) -> dict[str, Any]:
    def ranking(ndcg: float) -> dict[str, float]:
        return {
            "precision_at_10": ndcg * 0.82, "recall_at_10": ndcg * 0.6, "ndcg_at_10": ndcg,
            "hit_rate_at_10": min(1.0, ndcg * 2.1), "users": 941,
        }  # fmt: skip

    return {
        "rmse": rmse, "mae": mae, "n_ratings": 20_000,
        "full": ranking(full), "full_4": ranking(full * 0.9), "rated": ranking(rated),
    }  # fmt: skip


def add_running(store: Store, dataset_name: str, n_epochs: int = 8) -> RunRecord:
    """A training run that this very process works on."""
    run = store.runs.add("train", preset="default", dataset_name=dataset_name, request={})
    store.runs.start(run.id)
    for epoch in epochs()[:n_epochs]:
        store.runs.add_epoch(run.id, epoch)
    store.runs.beat(run.id, progress=n_epochs / 20, stage=f"epoch {n_epochs} of 20")
    return store.runs.get(run.id)


def add_failed(store: Store, dataset_name: str, error: str = "The disk is full.") -> RunRecord:
    run = store.runs.add("train", preset="default", dataset_name=dataset_name, request={})
    store.runs.start(run.id)
    store.runs.finish(run.id, "failed", error=error, traceback="Traceback …")
    return store.runs.get(run.id)
