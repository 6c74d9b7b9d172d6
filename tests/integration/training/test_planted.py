"""Planted answers: what the graph tells and nothing else does must be learnt.

Fifty users, fifty movies, two camps: user u and movie i belong together where u + i is even.
Every user has as many ratings as any other, and every movie too, so that popularity and biases
know nothing. Ten movies carry their camp as a genre; the camp of the others, and of every user,
has to travel over the graph. A user's own movie (u, u) and, for ratings, the next one (u, u + 1)
are withheld.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset, Interactions
from movierec.evaluation.ranking import ranking_at_k
from movierec.models.factory import make_baseline
from movierec.models.graphsage.hyperparameters import SageHyperparameters, hyperparameters
from movierec.models.protocol import Recommender
from movierec.training.fit import FitTask, fit_sage
from movierec.training.options import TrainingOptions
from tests.support.factories import assemble

pytestmark = pytest.mark.usefixtures("calm_torch")

SIZE, TOLD = 50, 10
RATING_LOSSES = ("mse", "mae", "huber", "ordinal")
RANKING_LOSSES = ("softmax", "bpr")
SMALL = {"hidden_dim": 32, "epochs": 25, "ranking_weight": 0.0}


def camps(*, both: bool) -> tuple[Dataset, Interactions, Interactions]:
    """Return the data, its train and its withheld part; `both`: rated 5 and 1, else only 5."""
    user, movie = np.indices((SIZE, SIZE)).reshape(2, -1)
    same = (user + movie) % 2 == 0
    rated = np.full(len(user), True) if both else same
    user, movie, stars = user[rated], movie[rated], np.where(same, 5.0, 1.0)[rated]
    bare = assemble(user, movie, stars, None, SIZE, SIZE, name="camps")
    movies = np.arange(SIZE)
    genres = np.where(movies < TOLD, np.where(movies % 2, "Odd", "Even"), "")
    dataset = replace(bare, movie_frame=bare.movie_frame.assign(**{Columns.GENRES: genres}))
    withheld = (movie == user) | (both & (movie == (user + 1) % SIZE))
    place = np.arange(len(user))
    return dataset, dataset.ratings.take(place[~withheld]), dataset.ratings.take(place[withheld])


def sage(dataset: Dataset, train: Interactions, config: SageHyperparameters) -> Recommender:
    here = TrainingOptions(device="cpu", seed=1)
    return fit_sage(FitTask(dataset, train, None, config, here)).recommender(dataset, train)


def default(loss: str, **changes) -> SageHyperparameters:
    more = {"monitor": "val_loss", "epochs": 80} if loss in RANKING_LOSSES else {}
    return hyperparameters("default", loss_type=loss, **{**SMALL, **more, **changes})


def rmse(model: Recommender, ratings: Interactions) -> float:
    error = model.predict(ratings.user, ratings.movie) - ratings.rating
    return float(np.sqrt(np.mean(error**2)))


def hit_rate(model: Recommender, train: Interactions, withheld: Interactions) -> float:
    """Share of users whose withheld movie comes first among the 26 they have not seen."""
    seen, relevant = train.matrix(SIZE, SIZE), withheld.matrix(SIZE, SIZE)
    metrics = ranking_at_k(model.score(np.arange(SIZE)), seen, relevant, 1)
    return metrics.summary()["hit_rate_at_1"]


def test_popularity_and_biases_know_nothing():
    dataset, train, withheld = camps(both=False)
    popular = make_baseline("popular", {}).fit(dataset, train, seed=0)
    assert hit_rate(popular, train, withheld) <= 0.1
    dataset, train, withheld = camps(both=True)
    biases = make_baseline("biases", {}).fit(dataset, train, seed=0)
    assert rmse(biases, withheld) >= 1.9


@pytest.mark.parametrize("loss", RATING_LOSSES)
def test_every_rating_loss_finds_the_withheld_ratings(loss):
    dataset, train, withheld = camps(both=True)
    assert rmse(sage(dataset, train, default(loss)), withheld) < 0.5


@pytest.mark.parametrize("loss", RANKING_LOSSES)
def test_every_ranking_loss_finds_the_withheld_movie(loss):
    dataset, train, withheld = camps(both=False)
    assert hit_rate(sage(dataset, train, default(loss)), train, withheld) >= 0.95


def test_a_rating_model_with_a_ranking_head_finds_both():
    dataset, train, withheld = camps(both=True)
    model = sage(dataset, train, default("ordinal", ranking_weight=1.0))
    assert rmse(model, withheld) < 0.5


def test_the_report_s_own_layers_find_the_withheld_movie():
    """Plain messages and a maximum: enough where a missing edge is the answer."""
    dataset, train, withheld = camps(both=False)
    config = hyperparameters(
        "report", hidden_dim=16, loss_type="softmax", epochs=40, learning_rate=0.01, dropout=0.0
    )
    assert hit_rate(sage(dataset, train, config), train, withheld) >= 0.95


def test_shuffled_ratings_teach_nothing():
    """With the stars handed out at random the withheld ones cannot be known."""
    dataset, train, withheld = camps(both=True)
    stars = np.random.default_rng(0).permutation(train.rating)
    shuffled = Interactions(train.user, train.movie, stars)
    model = sage(dataset, shuffled, default("ordinal"))
    biases = make_baseline("biases", {}).fit(dataset, shuffled, seed=0)
    assert rmse(model, withheld) > 0.95 * rmse(biases, withheld)


def test_without_the_graph_the_features_say_too_little():
    """The same model over a graph without edges: the camps are the graph's to tell."""
    dataset, train, withheld = camps(both=False)
    here = TrainingOptions(device="cpu", seed=1)
    fitted = fit_sage(FitTask(dataset, train, None, default("softmax"), here))
    blind = fitted.recommender(dataset, train.take(np.zeros(0, np.int64)))
    assert hit_rate(blind, train, withheld) < 0.5
