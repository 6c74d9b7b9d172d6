"""All the fits of a version: members of different seeds, and the refit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from movierec.data.dataset import Interactions
from movierec.models.graphsage.losses import step_loss
from movierec.training import trainer as trainer_module
from movierec.training.checkpoint import read_checkpoint
from movierec.training.fit import EnsembleFit, FitTask, SageFit, fit_members, fit_sage, member_seeds
from movierec.training.options import TrainingOptions
from tests.support.factories import make_dataset
from tests.support.sage_cases import (
    PLAIN,
    RICH,
    SHORT,
    Watch,
    fit,
    fit_version,
    graph_of,
    parts_of,
    rmse_on,
    same_weights,
    small,
)

pytestmark = pytest.mark.usefixtures("calm_torch")

BOTH = pytest.mark.parametrize("changes", SHORT.values(), ids=SHORT)


class Seen:
    """Stands before the trainer's loss: the edges of every training step and their fit."""

    def __init__(self, monkeypatch) -> None:
        self.visible: list[set] = []
        self.targets: list[set] = []
        self.fits: list[torch.nn.Module] = []

        def watched(model, visible, targets, features, negatives=None):
            if model.training:
                self.visible.append(pairs_of(visible))
                self.targets.append(pairs_of(targets))
                self.fits.append(model)
            return step_loss(model, visible, targets, features, negatives)

        monkeypatch.setattr(trainer_module, "step_loss", watched)

    def edges(self, number: int) -> set:
        """Return all edges that the n-th fit saw as messages or as targets."""
        model = list(dict.fromkeys(self.fits))[number - 1]
        mine = [i for i, found in enumerate(self.fits) if found is model]
        return set().union(*(self.visible[i] | self.targets[i] for i in mine))


def pairs_of(ratings) -> set[tuple[int, int]]:
    return set(zip(ratings.user.tolist(), ratings.movie.tolist(), strict=True))


def rates_of(config, monkeypatch, **how) -> list[list[float]]:
    """Return the learning rates of every fit of a version."""
    rates: list[list[float]] = []
    make = trainer_module.make_optimizer

    def watched(model):
        optimizer, mine = make(model), []
        rates.append(mine)
        optimizer.register_step_pre_hook(lambda o, *_: mine.append(o.param_groups[0]["lr"]))
        return optimizer

    monkeypatch.setattr(trainer_module, "make_optimizer", watched)
    fit_version(config, **how)
    return rates


def curve(found: SageFit) -> list[str]:
    return [repr(replace(epoch, seconds=0.0)) for epoch in found.result.history]


def test_the_first_member_has_the_seed_and_no_two_trainings_share_one():
    seeds = [member_seeds(seed, 32) for seed in range(5)]
    assert [each[0] for each in seeds] == list(range(5))
    assert len({seed for each in seeds for seed in each}) == 5 * 32
    assert all(0 <= seed < 2**31 for each in seeds for seed in each)
    assert member_seeds(3, 2) == member_seeds(3, 32)[:2]


@BOTH
def test_one_member_without_refit_is_a_plain_training(changes, tmp_path):
    config = small(**changes)
    plain = fit(config, checkpoint=tmp_path / "plain.pt")
    alone = fit_version(config, checkpoint=tmp_path / "alone.pt")
    assert alone.members == [alone.first]
    assert same_weights(alone.first.model.state_dict(), plain.model.state_dict())
    assert curve(alone.first) == curve(plain)
    one, two = (read_checkpoint(tmp_path / f"{name}.pt") for name in ("plain", "alone"))
    assert same_weights(one["best_weights"], two["best_weights"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.pt", "plain.pt"]


@BOTH
def test_each_member_is_the_training_of_its_seed(changes):
    config = small(**changes)
    members = fit_version(config, members=3, seed=4).members
    assert [member.seed for member in members] == member_seeds(4, 3)
    for member in members:
        plain = fit(config, seed=member.seed)
        assert same_weights(member.model.state_dict(), plain.model.state_dict())
    first, *others = (member.model.state_dict() for member in members)
    assert not any(same_weights(first, other) for other in others)


def stops_before_its_plan(found: EnsembleFit) -> bool:
    return found.first.result.best_epoch < found.first.model.config.epochs


@BOTH
@pytest.mark.parametrize("members", [1, 3])
def test_a_refit_takes_as_many_steps_as_were_best(changes, members):
    config, watch = small(**changes), Watch()
    found = fit_version(config, members=members, refit=True, hooks=[watch])
    per_epoch = watch.plans[0].steps_per_epoch
    assert stops_before_its_plan(found)
    assert found.refit_steps == found.first.result.best_epoch * per_epoch
    again = [watch.steps(number) for number in range(2, members + 2)]
    assert again == [found.refit_steps] * members
    assert watch.steps(1) > found.refit_steps
    assert [len(fit.result.history) for fit in found.members] == [
        math.ceil(found.refit_steps / plan.steps_per_epoch) for plan in watch.plans[1:]
    ]


def test_a_refit_may_end_within_an_epoch():
    """More ratings are more batches: the steps of the first fit end inside a pass."""
    watch = Watch()
    found = fit_version(small(**SHORT["batches"]), refit=True, hooks=[watch])
    first, again = watch.plans
    assert again.steps_per_epoch > first.steps_per_epoch
    assert found.refit_steps % again.steps_per_epoch


@BOTH
def test_the_learning_rate_of_a_refit_is_that_of_the_first_fit(monkeypatch, changes):
    config = small(**{**changes, "schedule": "one_cycle"})
    first, *others = rates_of(config, monkeypatch, members=2, refit=True)
    assert len(others) == 2
    assert all(len(set(rates)) > 2 for rates in others)
    for rates in others:
        assert rates == first[: len(rates)]


def with_a_test_part(n_test: int = 60):
    """Return a data set and its train, validation and test ratings."""
    dataset = make_dataset()
    place = np.arange(dataset.n_ratings)
    test, rest = place[:n_test], place[n_test:]
    parts = (rest[rest % 5 != 0], rest[rest % 5 == 0], test)
    return dataset, *(dataset.ratings.take(part) for part in parts)


def joined(one: Interactions, two: Interactions) -> Interactions:
    pairs = ((getattr(one, name), getattr(two, name)) for name in ("user", "movie", "rating"))
    return Interactions(*(np.concatenate(pair) for pair in pairs))


@BOTH
@pytest.mark.parametrize("leak", [False, True])
def test_a_refit_sees_train_and_validation_and_never_test(monkeypatch, changes, leak):
    """With a test part that leaks into the ratings to refit on, it would be seen."""
    dataset, train, validation, test = with_a_test_part()
    seen, both = Seen(monkeypatch), joined(train, validation)
    task = FitTask(
        dataset, train, validation, small(**changes), TrainingOptions(device="cpu"),
        measure=rmse_on(validation),
    )  # fmt: skip
    found = fit_members(task, members=2, refit_on=joined(both, test) if leak else both)
    assert seen.edges(1) == pairs_of(train)
    for number in (2, 3):
        assert seen.edges(number) >= pairs_of(train) | pairs_of(validation)
        assert bool(seen.edges(number) & pairs_of(test)) is leak
    assert [row["ratings"] for row in found.facts()["fits"]] == [
        len(train), *[len(both) + leak * len(test)] * 2
    ]  # fmt: skip


def test_features_and_the_mean_of_a_refit_are_fitted_on_both_parts():
    dataset = make_dataset()
    train, _ = parts_of(dataset)
    config = small(**{**RICH, "epochs": 2})
    found = fit_version(config, dataset, refit=True)
    whole = fit_sage(FitTask(dataset, dataset.ratings, None, config, TrainingOptions(device="cpu")))
    sizes = [fit.model.sizes for fit in (found.first, *found.members, whole)]
    assert sizes[0].mean_rating == pytest.approx(float(train.rating.mean()))
    assert sizes[1] == sizes[2]
    assert sizes[1].mean_rating != sizes[0].mean_rating
    refitted = found.members[0].preprocessor.state()
    assert refitted == whole.preprocessor.state()


def test_a_refit_that_keeps_every_epoch_is_a_training_on_both_parts():
    dataset = make_dataset()
    config = small(**{**RICH, "epochs": 2, "learning_rate": 0.001})
    found = fit_version(config, dataset, refit=True)
    assert found.first.result.best_epoch == 2
    whole = fit_sage(FitTask(dataset, dataset.ratings, None, config, TrainingOptions(device="cpu")))
    assert same_weights(found.members[0].model.state_dict(), whole.model.state_dict())


def test_what_has_not_seen_the_validation_part():
    """The members without a refit; with one, the fit before it."""
    dataset = make_dataset()
    train, validation = parts_of(dataset)
    config = small(**{**RICH, "epochs": 3})
    for found, models in (
        (members := fit_version(config, members=2), members.members),
        (refitted := fit_version(config, members=2, refit=True), [refitted.first]),
    ):
        held_out = found.held_out(dataset, train)
        assert held_out.members == [fit.model for fit in models]
        assert len(held_out.known) == len(train)
    best = refitted.first.result.best
    measured = rmse_on(validation)(refitted.held_out(dataset, train).factors)
    assert measured["val_rmse"] == pytest.approx(best.val_rmse, abs=1e-6)


def test_facts_say_what_was_done():
    config = small(**{**RICH, "epochs": 3})
    alone = fit_version(config, seed=2).facts()
    assert (alone["members"], alone["member_seeds"], alone["refit"]) == (1, [2], False)
    assert (alone["refit_steps"], alone["metrics_measured_on"]) == (None, "the version")
    both = fit_version(config, members=2, refit=True, seed=2).facts()
    assert (both["members"], both["member_seeds"]) == (2, member_seeds(2, 2))
    assert both["refit"] is True
    assert both["metrics_measured_on"] == "the fit before the refit"
    assert [row["seed"] for row in both["fits"]] == [2, *member_seeds(2, 2)]
    assert all(row["seconds"] > 0 for row in both["fits"])


@pytest.mark.parametrize(
    ("members", "refit", "titles"),
    [
        (1, False, [""]),
        (2, False, ["member 1 of 2", "member 2 of 2"]),
        (1, True, ["", "refit"]),
        (2, True, ["", "refit, member 1 of 2", "refit, member 2 of 2"]),
    ],
)
def test_watchers_are_told_which_fit_is_going_on(members, refit, titles):
    watch = Watch()
    fit_version(small(**{**PLAIN, "epochs": 1}), members=members, refit=refit, hooks=[watch])
    stages = [plan.stage for plan in watch.plans]
    assert [stage.title for stage in stages] == titles
    assert [stage.number for stage in stages] == list(range(1, len(titles) + 1))
    assert {stage.count for stage in stages} == {len(titles)}


def test_nothing_of_the_first_fit_is_in_the_version():
    found = fit_version(small(**SHORT["rich"]), refit=True)
    assert found.first not in found.members
    (member,) = found.members
    assert not same_weights(member.model.state_dict(), found.first.model.state_dict())
    assert graph_of(make_dataset(), make_dataset().ratings).n_edges == member.n_ratings
