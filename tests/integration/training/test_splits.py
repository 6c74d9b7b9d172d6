"""What a training sees of a split: the train part to learn from, validation to choose, no test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.graph import RatingGraph
from movierec.models.graphsage.losses import state_losses, step_loss
from movierec.training import trainer
from movierec.training.options import TrainingOptions
from movierec.training.targets import FullGraphSampler
from movierec.workflows.requests import TrainRequest
from movierec.workflows.train import fit_model
from movierec.workflows.version import Training
from tests.support.factories import make_dataset

pytestmark = pytest.mark.usefixtures("calm_torch")

SPLITS = ("random", "temporal", "leave-last-n", "cold-users")
PRESETS = ("report", "default")
SMALL = {"hidden_dim": 8, "epochs": 2}
HERE = TrainingOptions(device="cpu", seed=1)

Pairs = set[tuple[int, int]]


def pairs_of(ratings) -> Pairs:
    return set(zip(ratings.user.tolist(), ratings.movie.tolist(), strict=True))


def train_and_watch(monkeypatch, preset: str, dataset: Dataset, split: Split):
    """Train as a run does; return the model and, per loss, its mode, its graph and its targets."""
    seen: list[tuple[bool, Pairs, Pairs]] = []

    def watched(model, visible: RatingGraph, targets: RatingGraph, *rest):
        seen.append((model.training, pairs_of(visible), pairs_of(targets)))
        return step_loss(model, visible, targets, *rest)

    def validated(model, states, visible: RatingGraph, targets: RatingGraph, *rest):
        seen.append((model.training, pairs_of(visible), pairs_of(targets)))
        return state_losses(model, states, visible, targets, *rest)

    monkeypatch.setattr(trainer, "step_loss", watched)
    monkeypatch.setattr(trainer, "state_losses", validated)
    request = TrainRequest.of(preset=preset, split=split.spec, hyperparameters=SMALL)
    return fit_model(Training(request, dataset, split, HERE)), seen


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", SPLITS)
def test_no_step_sees_a_held_out_rating(monkeypatch, name, preset):
    dataset = make_dataset()
    split = make_split(dataset, SplitSpec(name=name))
    train, validation = (
        pairs_of(dataset.ratings.take(part)) for part in (split.train, split.validation)
    )
    _, seen = train_and_watch(monkeypatch, preset, dataset, split)
    for training, graph, targets in seen:
        assert graph <= train
        if training:
            assert targets <= train
        else:
            assert (graph, targets) == (train, validation)
    assert {training for training, _, _ in seen} == {True, False}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", SPLITS)
def test_held_out_ratings_change_no_weight(monkeypatch, name, preset):
    """Turned upside down, and their users' and movies' columns too, they leave it all as it was."""
    dataset = make_dataset()
    split = make_split(dataset, SplitSpec(name=name))
    held = np.concatenate([split.test, split.support])
    stars = dataset.ratings.rating.copy()
    stars[held] = 6 - stars[held]
    seen = dataset.ratings.user[np.concatenate([split.train, split.validation])]
    strangers = np.setdiff1d(np.arange(dataset.n_users), seen)
    users = dataset.user_frame.copy()
    users.loc[strangers, Columns.AGE] = 999.0
    users.loc[strangers, Columns.OCCUPATION] = "unheard of"
    other = replace(dataset, ratings=replace(dataset.ratings, rating=stars), user_frame=users)
    fits = [train_and_watch(monkeypatch, preset, data, split)[0] for data in (dataset, other)]
    histories = [[replace(epoch, seconds=0.0) for epoch in fit.history] for fit in fits]
    assert repr(histories[0]) == repr(histories[1])
    if name == "cold-users":
        assert len(strangers)
    else:
        for name_, array in fits[0].recommender.arrays().items():
            np.testing.assert_array_equal(array, fits[1].recommender.arrays()[name_])


@pytest.mark.parametrize(
    ("name", "asked", "settled"),
    [
        ("random", "auto", "random"),
        ("temporal", "auto", "later"),
        ("leave-last-n", "auto", "random"),
        ("cold-users", "auto", "newcomers"),
        ("temporal", "random", "random"),
        ("random", "later", "later"),
    ],
)
def test_the_split_settles_what_a_step_hides(monkeypatch, name, asked, settled):
    drawn: list[str] = []

    class Watched(FullGraphSampler):
        def __init__(self, graph: RatingGraph, config, *rest):
            super().__init__(graph, config, *rest)
            drawn.append(config.hiding)

    monkeypatch.setattr(trainer, "FullGraphSampler", Watched)
    dataset = make_dataset()
    spec = SplitSpec(name=name)
    chosen = {"hidden_dim": 8, "epochs": 3, "hiding": asked}
    request = TrainRequest.of(preset="default", split=spec, hyperparameters=chosen)
    fitted = fit_model(Training(request, dataset, make_split(dataset, spec), HERE))
    assert (fitted.hyperparameters["hiding"], drawn) == (settled, [settled])
