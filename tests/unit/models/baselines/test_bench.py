"""The peers of the benchmark against the libraries and the equations behind them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from movierec.data.dataset import Dataset, Interactions
from movierec.errors import ArtifactError, EmptyDataError, NonFiniteError, TrainingError
from movierec.models.baselines import lightgcn
from movierec.models.baselines import myfm as baselines_myfm
from movierec.models.baselines.base import bench_module
from movierec.models.baselines.lightgcn import _adjacency, _Pairs
from movierec.models.baselines.myfm import RatingTable, _sides
from movierec.models.factory import BASELINES, make_baseline
from tests.support.factories import assemble

PEERS = ("als", "bpr", "lightgcn", "myfm")
SMALL = {
    "als": {"factors": 4, "epochs": 5, "regularization": 1.0},
    "bpr": {"factors": 4},
    "lightgcn": {"factors": 4, "epochs": 2, "batch_size": 64},
    "myfm": {"factors": 3, "samples": 12, "burn_in": 4},
}


@pytest.fixture
def train(planted: Dataset) -> Interactions:
    """Without a user's and a movie's ratings."""
    ratings = planted.ratings
    return ratings.take(np.flatnonzero((ratings.user != 3) & (ratings.movie != 7)))


@pytest.fixture
def binary(planted: Dataset, train: Interactions) -> np.ndarray:
    seen = np.zeros((planted.n_users, planted.n_movies))
    seen[train.user, train.movie] = 1
    return seen


def test_als_solves_the_weighted_least_squares_of_each_movie(planted, train, binary):
    confidence, regularization = 5.0, 2.0
    model = make_baseline("als", {
        "factors": 4, "epochs": 200, "confidence": confidence, "regularization": regularization,
    }).fit(planted, train, seed=0)  # fmt: skip
    users = model.ranking_user.astype(np.float64)
    for movie in range(planted.n_movies):
        weight = np.where(binary[:, movie] > 0, confidence, 1.0)
        left = users.T @ (weight[:, None] * users) + regularization * np.eye(4)
        right = users.T @ (weight * binary[:, movie])
        solved = np.linalg.solve(left, right)
        np.testing.assert_allclose(model.ranking_movie[movie], solved, atol=1e-3)


def test_bpr_scores_as_implicit_does_with_the_bias_it_hides(planted, train, binary):
    from implicit.bpr import BayesianPersonalizedRanking

    settings = {"factors": 4, "learning_rate": 0.1, "regularization": 0.02}
    model = make_baseline("bpr", settings | {"epochs": 30}).fit(planted, train, seed=5)
    theirs = BayesianPersonalizedRanking(
        **settings, iterations=30, random_state=5, num_threads=1, use_gpu=False
    )
    theirs.fit(sparse.csr_matrix(binary.astype(np.float32)), show_progress=False)
    assert model.ranking_user.shape == (planted.n_users, 4)
    assert np.abs(model.ranking_movie_bias).max() > 0.1
    np.testing.assert_allclose(
        model.score(np.arange(planted.n_users)),
        theirs.user_factors @ theirs.item_factors.T,
        atol=1e-5,
    )


def test_lightgcns_adjacency_is_the_one_torch_geometric_makes(planted, train):
    import torch
    from torch_geometric.nn.models import LightGCN

    torch.manual_seed(0)
    n_nodes = planted.n_users + planted.n_movies
    theirs, ours = (LightGCN(n_nodes, 8, 3, normalize=own) for own in (True, False))
    ours.load_state_dict(theirs.state_dict())
    edges = torch.from_numpy(np.stack([train.user, train.movie + planted.n_users]))
    expected = theirs.get_embedding(torch.cat([edges, edges.flip(0)], dim=1))
    found = ours.get_embedding(_adjacency(planted, train))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_lightgcn_meets_every_rating_once_beside_an_unrated_movie(planted, train, binary):
    batches = list(_Pairs.of(planted, train).batches(np.random.default_rng(0), 50))
    user, rated, other = (np.concatenate(part) for part in zip(*batches, strict=True))
    rated, other = rated - planted.n_users, other - planted.n_users
    assert {len(batch[0]) for batch in batches[:-1]} == {50}
    assert set(zip(user, rated, strict=True)) == set(zip(train.user, train.movie, strict=True))
    assert len(user) == len(train)
    assert (binary[user, other] == 0).all()
    assert len(np.unique(other)) > planted.n_movies / 2


def test_lightgcn_samples_for_a_user_who_rated_everything():
    user, movie = (axis.ravel() for axis in np.indices((3, 4)))
    full = assemble(user, movie, np.full(12, 4.0), None, 3, 4)
    model = make_baseline("lightgcn", SMALL["lightgcn"]).fit(full, full.ratings, seed=0)
    assert np.isfinite(model.score(np.arange(3))).all()


def test_lightgcn_leaves_torchs_own_random_numbers_alone(planted):
    import torch

    before = torch.random.get_rng_state()
    make_baseline("lightgcn", SMALL["lightgcn"]).fit(planted, planted.ratings, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_loss_that_is_not_finite_stops_lightgcn(monkeypatch, planted, train):
    monkeypatch.setattr(lightgcn, "_adjacency", lambda *_: _adjacency(planted, train) * np.inf)
    with pytest.raises(NonFiniteError, match="LightGCN"):
        make_baseline("lightgcn", SMALL["lightgcn"]).fit(planted, train, seed=0)


def test_myfms_table_is_the_mean_of_its_samples_predictions(planted, train):
    myfm = bench_module("myfm")
    users, movies = _sides(planted, train)
    blocks = [
        myfm.RelationBlock(train.user.tolist(), users.matrix),
        myfm.RelationBlock(train.movie.tolist(), movies.matrix),
    ]
    theirs = myfm.MyFMGibbsRegressor(rank=3, random_seed=9)
    theirs.fit(
        None, train.rating.astype(float), X_rel=blocks, n_iter=30, n_kept_samples=20,
        group_shapes=[*users.sizes, *movies.sizes],
    )  # fmt: skip
    user, movie = (axis.ravel() for axis in np.indices((planted.n_users, planted.n_movies)))
    expected = theirs.predict(None, [
        myfm.RelationBlock(user.tolist(), users.matrix),
        myfm.RelationBlock(movie.tolist(), movies.matrix),
    ])  # fmt: skip
    settings = {"factors": 3, "samples": 20, "burn_in": 10}
    model = make_baseline("myfm", settings).fit(planted, train, seed=9)
    np.testing.assert_allclose(model.score(np.arange(planted.n_users)).ravel(), expected, atol=1e-4)
    np.testing.assert_allclose(model.predict(user, movie), np.clip(expected, 1, 5), atol=1e-4)


def test_myfm_describes_both_sides(planted, train, binary):
    users, movies = _sides(planted, train)
    rated = binary.sum(axis=1, keepdims=True)
    ids = np.diag((rated[:, 0] > 0).astype(float))
    shrunk = binary / np.sqrt(np.maximum(rated, 1))
    frame = planted.user_frame
    kinds = [frame[name].nunique() for name in ("gender", "occupation")]
    bands = (frame["age"] // 5).nunique()
    assert list(users.sizes) == [planted.n_users, planted.n_movies, bands, *kinds]
    found = users.matrix.toarray()
    np.testing.assert_allclose(found[:, : planted.n_users], ids)
    np.testing.assert_allclose(found[:, planted.n_users :][:, : planted.n_movies], shrunk)
    assert (found[:, planted.n_users + planted.n_movies :].sum(axis=1) == 3).all()
    years = (planted.movie_frame["year"] // 5).nunique()
    assert list(movies.sizes) == [planted.n_movies, planted.n_users, years, 4]
    np.testing.assert_array_equal(movies.matrix.toarray()[:, -4:], planted.genre_matrix)


def test_myfm_knows_what_a_new_user_likes_from_the_description():
    rng = np.random.default_rng(0)
    user, movie = (axis.ravel() for axis in np.indices((60, 40)))
    women, comedies = rng.random(60) < 0.5, rng.random(40) < 0.5
    rating = np.where(women[user] == comedies[movie], 5.0, 1.0)
    data = assemble(user, movie, rating, None, 60, 40)
    data.user_frame["gender"] = np.where(women, "F", "M")
    data.movie_frame["genres"] = np.where(comedies, "Comedy", "Drama")
    known = data.ratings.take(np.flatnonzero(user < 50))
    settings = {"factors": 3, "samples": 40, "burn_in": 20}
    model = make_baseline("myfm", settings).fit(data, known, seed=0)
    new = user >= 50
    error = np.abs(model.predict(user[new], movie[new]) - rating[new])
    assert error.mean() < 0.5  # the mean rating of every movie is off by 2


@pytest.mark.parametrize("name", ["als", "bpr", "myfm"])
def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch, planted, name):
    for module in ("implicit.als", "implicit.bpr", "myfm", "myfm.base"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrainingError, match=r"package (implicit|myfm)") as error:
        make_baseline(name).fit(planted, planted.ratings, seed=0)
    assert "make bench" in error.value.hint
    assert "poetry install --with bench" in error.value.hint


def test_listing_the_baselines_imports_none_of_their_packages():
    code = (
        "import sys, movierec.models.factory;"
        "print([m for m in ('implicit', 'myfm', 'torch', 'surprise') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PEERS)
def test_fitting_is_silent(capfd, planted, name):
    make_baseline(name, SMALL[name]).fit(planted, planted.ratings, seed=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", PEERS)
def test_another_seed_gives_another_model(planted, name):
    one, two = (
        make_baseline(name, SMALL[name]).fit(planted, planted.ratings, seed=seed) for seed in (0, 1)
    )
    assert not np.allclose(one.score(np.arange(5)), two.score(np.arange(5)), atol=1e-4)


@pytest.mark.parametrize("name", PEERS)
def test_nothing_to_learn_from_is_refused(planted, name):
    with pytest.raises(EmptyDataError):
        make_baseline(name).fit(planted, planted.ratings.take(np.zeros(0, np.int64)), seed=0)


def test_vectors_that_are_no_numbers_are_refused(planted):
    with pytest.raises(TrainingError, match="NaN"):
        make_baseline("bpr", {"learning_rate": 1.0, "regularization": 10.0, "epochs": 200}).fit(
            planted, planted.ratings, seed=0
        )


def test_too_many_cells_are_refused_before_any_work(monkeypatch, planted):
    monkeypatch.setattr(baselines_myfm, "TABLE_MAX_CELLS", 1199)
    monkeypatch.setattr(baselines_myfm, "_sides", None)
    with pytest.raises(TrainingError, match=r"1,200 cells; the limit is 1,199"):
        make_baseline("myfm").fit(planted, planted.ratings, seed=0)


def test_a_table_that_is_none_is_refused():
    arrays = {"stars": np.zeros(3, np.float32), "scale": np.array([1, 5, 1], np.float32)}
    with pytest.raises(ArtifactError, match="shape"):
        RatingTable.from_arrays(arrays)


def test_tuned_values_can_be_set_and_differ_from_the_defaults():
    tuned = {name: kind.tuned for name, kind in BASELINES.items() if kind.tuned}
    assert set(tuned) == {"biases", "svd", "svdpp", "knn", "ease"}
    for name, values in tuned.items():
        make_baseline(name, values)
        defaults = BASELINES[name].hyperparameters().model_dump()
        assert values.items() - defaults.items(), name
