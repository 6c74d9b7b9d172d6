"""Requests that cannot be done: one clear line each, and no trace in the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from movierec.settings import Settings
from tests.support.project import movierec, one_line, runs_of

# arguments, exit code, what the line says
REFUSED = [
    ("--dropout 1.5", 2, "dropout = 1.5: input should be less than 1"),
    ("--dropout nan", 2, "dropout = nan: input should be"),
    ("--dropout -0.1", 2, "dropout = -0.1: input should be greater than or equal to 0"),
    ("--hidden-dim 0", 2, "hidden_dim = 0: input should be greater than or equal to 2"),
    ("--hidden-dim 99999", 2, "hidden_dim = 99999: input should be less than or equal to 1024"),
    ("--num-layers 0", 2, "num_layers = 0"),
    ("--aggregator foo", 2, "aggregator must join different ones of max, mean, sum"),
    ("--aggregator max+max", 2, "aggregator must join different ones"),
    ("--loss-type bpr --ranking-weight 1", 2, "set ranking_weight to 0"),
    (
        "--preset report --loss-type softmax --monitor val_rmse",
        2,
        "softmax predicts no ratings to monitor val_rmse",
    ),
    ("--preset report --monitor val_ndcg_10", 2, "needs a ranking loss or a ranking_weight"),
    ("--loss-type hinge", 2, "'--loss-type': 'hinge' is not one of 'mse'"),
    ("--lr nan", 2, "learning_rate = nan"),
    ("--lr inf", 2, "learning_rate = inf"),
    ("--lr 0", 2, "learning_rate = 0.0: input should be greater than 0"),
    ("--weight-decay inf", 2, "weight_decay = inf"),
    ("--batch-size 99999999999999999999", 2, "batch_size = 99999999999999999999"),
    ("--batch-size 1e3", 2, "Invalid value for '--batch-size'"),
    ("--epochs 1.5", 2, "Invalid value for '--epochs'"),
    ("--epochs 0", 2, "epochs = 0"),
    ("--early-stopping-patience 0", 2, "early_stopping_patience = 0"),
    ("--lr 5 --dropout 2", 2, "dropout = 2.0: input should be less than 1; learning_rate = 5.0"),
    ("--preset nope", 2, "there is no model 'nope'; choose one of report, default, mean"),
    ("--preset svd --hidden-dim 8", 2, "SVD: hidden_dim = 8 cannot be used: it has no such"),
    ("--preset svd --set factors=0", 2, "SVD: factors = 0 cannot be used"),
    ("--preset svd --set factors", 2, "--set factors names no value"),
    ("--set depth=3", 2, "depth"),
    ("--split u9", 2, "'u9' is not one of 'u1'"),
    ("--split u1", 3, "u1 is a fold of MovieLens 100K; this data set has"),
    ("--test-fraction 2", 2, "split.test_fraction = 2.0: input should be less than 0.9"),
    ("--test-fraction 0.0001", 3, "leaves the test part empty"),
    ("--split leave-last-n --last-n 1000", 3, "leaves the test part empty"),
    ("--dataset nope", 4, "There is no data set 'nope'. There is 'tiny'."),
    ("--seed -1", 2, "seed = -1"),
    ("--seed 99999999999", 2, "seed = 99999999999"),
    ("--device tpu", 2, "There is no device called 'tpu'. Use auto, cpu"),
    ("--device cuda:77", 2, "offers torch no cuda:77 device. Use --device auto"),
    ("--resume 999", 4, "There is no run 999. `movierec runs` lists them."),
    ("--resume x", 2, "Invalid value for '--resume'"),
    ("--resume 1 --epochs 3", 2, "Use `movierec train --resume 1` alone"),
    ("--colour red", 2, "No such option: --colour"),
    ("--dataset [/bold]", 4, "There is no data set '[/bold]'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "cause"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_training_that_cannot_be_is_refused_in_one_line(
    project: Settings, arguments: str, code: int, cause: str
) -> None:
    said = movierec(project, "train", *arguments.split())
    assert cause in one_line(said)
    assert said.code == code
    assert runs_of(project) == []
    assert list(project.models_path.glob("v*")) == []


def test_without_data_the_line_says_how_to_get_some(empty_project: Settings) -> None:
    said = movierec(empty_project, "train")
    assert "movierec data fetch ml-100k" in one_line(said)
    assert said.code == 4
    assert runs_of(empty_project) == []


def test_a_split_by_time_needs_times(tmp_path: Path, empty_project: Settings) -> None:
    path = tmp_path / "timeless.csv"
    path.write_text("user,movie,rating\n" + "".join(f"{u},{m},{1 + (u + m) % 5}\n"
                    for u in range(6) for m in range(6)))  # fmt: skip
    assert movierec(empty_project, "data", "import", path).code == 0
    said = movierec(empty_project, "train", "--dataset", "timeless", "--split", "temporal")
    assert "needs timestamps and this data set has none" in one_line(said)
    assert said.code == 3
    assert runs_of(empty_project) == []


def test_a_benchmark_with_one_bad_model_starts_none(project: Settings, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    said = movierec(project, "benchmark", "--models", "mean,nope", "--json", rows)
    assert "there is no model 'nope'" in one_line(said)
    assert said.code == 2
    assert not rows.exists()
    said = movierec(project, "benchmark", "--models", "mean", "--split", "u1")
    assert "u1 is a fold" in one_line(said)
    assert said.code == 3
