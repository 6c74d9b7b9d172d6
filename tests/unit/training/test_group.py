"""Several workers against one: the same losses, weights and answers, whoever holds which users.

The workers are processes that talk through gloo, as they do under Ray.
"""

from __future__ import annotations

import multiprocessing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from movierec.data.dataset import Dataset
from movierec.training import trainer
from movierec.training.callbacks import FitResult
from movierec.training.distributed.group import SINGLE_PROCESS, Group, TorchGroup
from movierec.training.distributed.shard import Shard
from movierec.training.fit import _graph, _validator
from movierec.training.options import TrainingOptions
from movierec.training.trainer import Trainer
from tests.support.factories import make_dataset
from tests.support.sage_cases import RICH, Made, make_model, nothing, rmse_on, small

STILL = {**RICH, "dropout": 0.0, "feature_dropout": 0.0, "epochs": 2}
CASES: dict[str, dict[str, Any]] = {
    "rich": {},
    "parts": {"graph_ratings": 200},
    "parts, sampled": {"graph_ratings": 200, "sampled_movies": 20},
    "newcomers": {"hiding": "newcomers"},
    "newcomers, parts": {"hiding": "newcomers", "graph_ratings": 200},
    "later": {"hiding": "later"},
    "later, parts": {"hiding": "later", "graph_ratings": 200},
    "max": {"aggregator": "max"},
    "many": {"aggregator": "mean+std+softmax+powermean"},
    "sampled": {"sampled_movies": 20},
    "few": {"target_fraction": 0.05},  # steps in which a worker has no target
}
SIZE = 3


def data() -> Dataset:
    return make_dataset(60, 40, 0.4)


def few() -> Dataset:
    return make_dataset(7, 30, 0.3)


def worker(group: Group, made: Made) -> FitResult:
    shard = Shard.of(group, made.train.user, made.dataset.n_users)
    graphs = [
        _graph(made.dataset, made.train, shard, timed=True),
        _graph(made.dataset, made.validation, shard),
    ]
    own = slice(shard.first_user, shard.last_user)
    training = Trainer(
        deepcopy(made.model), *graphs, (made.features[0][own], made.features[1]),
        options=TrainingOptions(device="cpu"), shard=shard,
        validator=_validator(rmse_on(made.validation), made.dataset, group),
    )  # fmt: skip
    return training.fit()


def made_for(name: str) -> Made:
    return make_model(small(**{**STILL, **CASES[name]}), few() if name == "few" else data())


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> dict[str, list[Any]]:
    """Return by case what each of three workers found; they are started once."""
    folder = tmp_path_factory.mktemp("group")
    fresh = multiprocessing.get_context("spawn")
    workers = [fresh.Process(target=_member, args=(rank, folder)) for rank in range(SIZE)]
    for process in workers:
        process.start()
    for process in workers:
        process.join(300)
        process.kill()
    found = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(SIZE)]
    return {name: [each[name] for each in found] for name in found[0]}


def _member(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=SIZE)
    found = {name: worker(TorchGroup(), made_for(name)) for name in CASES}
    trainer.share_gradients = nothing
    found["planted"] = worker(TorchGroup(), made_for("rich"))
    torch.save(found, folder / f"{rank}.pt")


@dataclass(frozen=True)
class Seat:
    """A place in a group, for what asks nobody anything."""

    rank: int
    size: int


def curve(result: FitResult) -> np.ndarray:
    return np.array([(e.train_loss, e.val_loss, e.val_rmse) for e in result.history])


@pytest.mark.parametrize("name", CASES)
def test_workers_together_train_as_one_does(together, name):
    alone = worker(SINGLE_PROCESS, made_for(name))
    assert len(together[name]) == SIZE
    for found in together[name]:
        np.testing.assert_allclose(curve(found), curve(alone), atol=1e-4)


def test_workers_that_keep_their_gradients_to_themselves_would_be_seen(together):
    alone = worker(SINGLE_PROCESS, made_for("rich"))
    result = together["planted"][0]
    assert np.abs(curve(result) - curve(alone)).max() > 1e-3


def test_users_are_divided_by_their_ratings():
    user = np.repeat(np.arange(6), [50, 1, 1, 1, 1, 50])
    shards = [Shard.of(Seat(rank, 2), user, 6) for rank in (0, 1)]
    assert [(s.first_user, s.last_user) for s in shards] == [(0, 3), (3, 6)]
    assert [s.first_edge for s in shards] == [0, 52]
    assert {(s.n_users, s.n_edges) for s in shards} == {(6, 104)}


def test_one_user_may_have_nearly_all_ratings():
    user = np.repeat([0, 1, 2], [90, 1, 1])
    shards = [Shard.of(Seat(rank, 3), user, 3) for rank in range(3)]
    assert sorted(s.last_user - s.first_user for s in shards) == [0, 1, 2]
