"""Made-up data: its shape, its files, and that its best prediction is what it says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from movierec.data.dataset import RatingScale
from movierec.data.formats.detect import read_raw
from movierec.data.synthetic import write as module
from movierec.data.synthetic.ratings import FEWEST, SHAPES, Shape, World, expected
from movierec.data.synthetic.write import synthesize
from movierec.data.validation.checks import checked
from movierec.errors import DataError

HALVES = RatingScale(0.5, 5.0, 0.5)
WHOLES = RatingScale(1.0, 5.0, 1.0)
# a hundredth of each: quick, and still more than one block
SMALL = {
    "ml-100k": Shape(60, 150, 3_000, 35, 50, WHOLES),
    "ml-1m": Shape(300, 400, 15_000, 40, 200, WHOLES),
    "ml-10m": Shape(400, 300, 24_000, 40, 300, HALVES),
    "ml-32m": Shape(500, 400, 30_000, 40, 400, HALVES),
}
FORMATS = {
    "ml-100k": "MovieLens 100K", "ml-1m": "MovieLens 1M", "ml-10m": "MovieLens 10M",
    "ml-32m": "MovieLens CSV",
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module, "SHAPES", SMALL)
    monkeypatch.setattr("movierec.data.synthetic.ratings.BLOCK_RATINGS", 5_000)


def world_of(like: str = "ml-32m", seed: int = 1) -> World:
    return World(SMALL[like], seed)


def column(world: World, name: str) -> np.ndarray:
    return np.concatenate([getattr(block, name) for block in world.blocks()])


@pytest.mark.parametrize("like", SMALL)
def test_what_is_written_comes_in_whole_as_the_release_it_looks_like(tmp_path, like):
    made = synthesize(like, 1, tmp_path / like)
    dataset, report = checked(read_raw(tmp_path / like))
    shape = SMALL[like]
    assert report.format == FORMATS[like]
    assert report.rows_dropped == 0
    sizes = (dataset.n_users, dataset.n_movies, dataset.n_ratings)
    assert sizes == (made.users, made.movies, made.ratings)
    assert sizes == (shape.users, shape.movies, shape.ratings)
    assert dataset.scale == shape.scale
    assert report.users_without_ratings == 0
    world = world_of(like)
    truth = dict(zip(zip(column(world, "user"), column(world, "movie"), strict=True),
                     column(world, "rating"), strict=True))  # fmt: skip
    ratings = dataset.ratings
    names = [int(dataset.users.ids[user]) - 1 for user in ratings.user]
    places = [
        int(np.searchsorted(world.movie_id, int(dataset.movies.ids[m]))) for m in ratings.movie
    ]
    found = dict(zip(zip(names, places, strict=True), ratings.rating, strict=True))
    assert found == truth


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path):
    digests = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthesize("ml-32m", seed, tmp_path / folder)
        digests.append(
            {
                p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                for p in (tmp_path / folder).iterdir()
            }
        )
    assert digests[0] == digests[1]
    assert all(digests[0][name] != digests[2][name] for name in ("ratings.csv", "movies.csv"))


def test_nobody_rates_a_movie_twice_and_everybody_enough():
    world = world_of()
    user, movie = column(world, "user"), column(world, "movie")
    pair = user * world.shape.movies + movie
    assert (np.diff(pair) > 0).all()
    assert np.bincount(user).min() >= FEWEST
    np.testing.assert_array_equal(np.bincount(user), world.activity)


def test_activity_and_popularity_have_long_tails():
    world = world_of()
    by_movie = np.sort(np.bincount(column(world, "movie"), minlength=400))[::-1]
    assert by_movie[:40].mean() > 5 * by_movie[200:].mean()
    assert world.activity.max() > 2.5 * np.median(world.activity)


def test_times_of_a_user_lie_in_sittings():
    world = world_of()
    user, time = column(world, "user"), column(world, "timestamp")
    order = np.lexsort((time, user))
    gap = np.diff(time[order])[np.diff(user[order]) == 0]
    assert (gap >= 0).all()
    assert np.median(gap) < 60
    assert (gap > 86_400).mean() > 0.01


def test_the_best_prediction_errs_as_it_says_and_nothing_simple_reaches_it():
    world = world_of()
    best, variance = column(world, "best"), column(world, "variance")
    rating, movie = column(world, "rating").astype(float), column(world, "movie")
    error = np.sqrt(np.mean((rating - best) ** 2))
    assert error == pytest.approx(np.sqrt(variance.mean()), rel=0.01)
    means = np.bincount(movie, rating) / np.maximum(np.bincount(movie), 1)
    assert np.sqrt(np.mean((rating - means[movie]) ** 2)) > 1.1 * error
    # least squares: no multiple of the best prediction is better than itself
    slope = np.polyfit(best, rating, 1)[0]
    assert slope == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("scale", [HALVES, WHOLES])
def test_mean_and_variance_of_a_rounded_and_cut_rating(scale):
    rng = np.random.default_rng(0)
    for x in (-1.0, 2.2, 3.5, 4.9, 7.0):
        steps = np.round((x + rng.normal(0, 0.8, 400_000) - scale.low) / scale.step)
        drawn = np.clip(scale.low + scale.step * steps, scale.low, scale.high)
        mean, variance = expected(np.array([x]), 0.8, scale)
        assert mean[0] == pytest.approx(drawn.mean(), abs=0.01)
        assert variance[0] == pytest.approx(drawn.var(), abs=0.01)


def test_truth_is_beside_the_ratings(tmp_path):
    made = synthesize("ml-32m", 3, tmp_path / "made")
    truth = json.loads((tmp_path / "made" / "truth.json").read_text())
    assert truth["floor_rmse"] == made.floor_rmse
    assert (truth["like"], truth["seed"], truth["ratings"]) == ("ml-32m", 3, made.ratings)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        synthesize("ml-32m", 1, tmp_path / "made")
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["mine.txt"]


def test_an_unknown_shape_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(DataError) as caught:
        synthesize("netflix", 1, tmp_path / "made")
    assert "'netflix'" in str(caught.value)
    assert "ml-32m" in str(caught.value)


def test_a_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(module._CATALOGUES, "ml-32m", full)
    with pytest.raises(DataError, match=r"cannot be written: No space left on device\."):
        synthesize("ml-32m", 1, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_the_shapes_are_those_of_the_releases():
    assert {name: (s.users, s.movies, s.ratings) for name, s in SHAPES.items()} == {
        "ml-100k": (943, 1_682, 100_000),
        "ml-1m": (6_040, 3_883, 1_000_209),
        "ml-10m": (69_878, 10_681, 10_000_054),
        "ml-25m": (162_541, 62_423, 25_000_095),
        "ml-32m": (200_948, 87_585, 32_000_204),
    }


def test_a_path_is_named_where_nothing_can_be_written(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        synthesize("ml-32m", 1, blocker / "made")
    assert Path(blocker).read_text() == ""
