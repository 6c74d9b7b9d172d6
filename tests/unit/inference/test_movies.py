"""What is known of movies and people, by numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.data.splits import SplitSpec, make_split
from movierec.errors import EvaluationError, NotFoundError
from movierec.inference import LoadedVersion
from movierec.inference.content import Likeness
from movierec.inference.movie_map import _plane, movie_map
from movierec.inference.movies import MovieSearch, groups_of
from movierec.inference.user_profile import hard_cases, held_out_of, profile
from movierec.metadata import VersionMetadata
from movierec.models.factory import make_baseline
from tests.support.factories import assemble, make_dataset
from tests.support.states import NASTY

TITLES = (
    "Star Wars", "Wars of the Stars", "Amélie", "Alien", "Aliens", "Alien: Resurrection",
    "Empire Strikes Back, The", *NASTY,
)  # fmt: skip
RATED = (9, 3, 2, 4, 8, 2)  # ratings of the first movies


def titled(titles=TITLES, counts=RATED, years=None) -> Dataset:
    """A data set of these titles, the first of them rated so often."""
    movie = np.repeat(np.arange(len(counts)), counts)
    user = np.concatenate([np.arange(count) for count in counts])
    data = assemble(user, movie, np.full(len(user), 4), None, max(counts), len(titles))
    frame = data.movie_frame.assign(**{Columns.TITLE: titles})
    if years is not None:
        frame[Columns.YEAR] = years
    return replace(data, movie_frame=frame)


def found(data: Dataset, text: str, limit: int = 20) -> list[str]:
    return [hit.title for hit in MovieSearch(data).find(text, limit)]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("star wars", ["Star Wars", "Wars of the Stars"]),
        ("WARS   star", ["Wars of the Stars", "Star Wars"][::-1]),
        ("wars of", ["Wars of the Stars"]),
        ("amelie", ["Amélie"]),
        ("AMÉLIE", ["Amélie"]),
        ("alien", ["Aliens", "Alien", "Alien: Resurrection"]),  # by ratings: 8, 4, 2
        ("alien: res", ["Alien: Resurrection"]),
        ("the empire", ["Empire Strikes Back, The"]),
        ("lien", []),  # words are found by how they begin
        ("star zebra", []),
        ("$a$ b", [NASTY[2]]),
        ("<script>", [NASTY[0]]),
    ],
)
def test_titles_are_found_whatever_case_accents_and_order(text, titles):
    assert found(titled(), text) == titles


def test_what_begins_as_typed_comes_before_what_is_rated_more():
    data = titled(("Dead Men", "Men in Black"), (9, 2))
    assert found(data, "men") == ["Men in Black", "Dead Men"]


def test_nothing_typed_gives_the_most_rated():
    assert found(titled(), "", 3) == ["Star Wars", "Aliens", "Alien"]
    assert found(titled(), "  !? ", 1) == ["Star Wars"]
    assert found(titled(), "", 0) == []
    assert len(found(titled(), "", 100)) == len(TITLES)


def test_a_year_tells_movies_of_one_title_apart():
    data = titled(("Titanic", "Titanic", "Raise the Titanic"), (5, 3, 1), [1997.0, 1953.0, np.nan])
    hits = MovieSearch(data).find("titanic 1953")
    assert [(hit.movie_id, hit.year, hit.n_ratings) for hit in hits] == [("m1", 1953, 3)]
    assert [hit.year for hit in MovieSearch(data).find("titanic")] == [1997, 1953, None]


def test_an_exact_id_is_first_and_not_listed_twice():
    data = titled(("Apollo 13", "m0 the movie", "Other"), (5, 3, 1))
    assert [hit.movie_id for hit in MovieSearch(data).find(" m0 ")] == ["m0", "m1"]
    assert [hit.movie_id for hit in MovieSearch(data).find("m2", 1)] == ["m2"]


def test_a_data_set_without_titles_is_searched_by_id():
    data = assemble([0, 1], [0, 1], [3, 4], None, 2, 3)
    assert [hit.title for hit in MovieSearch(data).find("m1")] == ["m1"]


# three movies: Action|Drama, Drama, none; three users
GENRES = ["Action|Drama", "Drama", ""]
ROWS = [(0, 0, 5, 300), (0, 1, 2, 100), (0, 2, 5, 200), (1, 0, 1, 50), (1, 1, 3, 60), (2, 1, 4, 70)]


def small_version(*, times: bool = True, genres: bool = True, facts: bool = True) -> LoadedVersion:
    user, movie, rating, time = np.array(ROWS).T
    data = assemble(user, movie, rating, time if times else None, 4, 3)
    if genres:
        data.movie_frame[Columns.GENRES] = GENRES
    if facts:
        data.user_frame[Columns.AGE] = [24.0, 31.5, np.nan, 40.0]
        data.user_frame[Columns.OCCUPATION] = ["writer", None, "", "artist"]
    model = make_baseline("popular").fit(data, data.ratings, seed=1)
    return LoadedVersion("v1.0.0", model, data, data.ratings)


def test_a_profile_counts_what_is_known():
    facts = profile(small_version(), "u0")
    assert (facts.n_ratings, facts.mean) == (3, 4.0)
    assert facts.mean_of_all == pytest.approx(20 / 6)
    assert [(line.movie_id, line.stars) for line in facts.history] == [
        ("m0", 5.0), ("m2", 5.0), ("m1", 2.0),
    ]  # fmt: skip
    assert facts.history[0].time == datetime.fromtimestamp(300, UTC)
    assert facts.features == {"Age": "24 years", "Occupation": "writer"}
    assert facts.held_out == {}


def test_tastes_are_shares_and_means_against_everybodys():
    tastes = profile(small_version(), "u0").tastes.set_index("genre")
    assert list(tastes.index) == ["Drama", "Action"]
    drama, action = tastes.loc["Drama"], tastes.loc["Action"]
    assert (drama["n"], action["n"]) == (2, 1)
    assert drama["share"] == pytest.approx(2 / 3)
    assert drama["share_of_all"] == pytest.approx(5 / 6)  # all ratings but that of m2
    assert action["share_of_all"] == pytest.approx(2 / 6)
    assert (drama["mean"], drama["more"]) == (3.5, -0.5)
    assert (action["mean"], action["more"]) == (5.0, 1.0)


def test_what_is_not_known_is_left_out():
    facts = profile(small_version(times=False, genres=False, facts=False), "u0")
    assert [line.time for line in facts.history] == [None] * 3
    assert facts.tastes.empty
    assert facts.features == {}
    assert profile(small_version(), "u1").features == {"Age": "31.5 years"}
    assert profile(small_version(), "u2").features == {}


def test_a_user_without_ratings_has_an_empty_profile():
    facts = profile(small_version(), "u3")
    assert (facts.n_ratings, facts.history, len(facts.tastes)) == (0, (), 0)
    assert np.isnan(facts.mean)
    assert facts.features["Occupation"] == "artist"
    with pytest.raises(NotFoundError, match="u9"):
        profile(small_version(), "u9")


def split_version() -> LoadedVersion:
    data, spec = make_dataset(), SplitSpec(name="random", seed=3)
    known = data.ratings.take(make_split(data, spec).known)
    model = make_baseline("popular").fit(data, known, seed=1)
    return LoadedVersion(
        "v1.0.0", model, data, known, VersionMetadata.of({"split": spec.model_dump()})
    )


def test_held_out_ratings_are_those_of_the_test_part():
    version = split_version()
    test = make_split(version.dataset, SplitSpec(name="random", seed=3)).test
    own = version.dataset.ratings.take(test)
    expected = {f"m{m}": r for u, m, r in zip(own.user, own.movie, own.rating, strict=True)
                if u == 5}  # fmt: skip
    facts = profile(version, "u5")
    assert facts.held_out == expected
    assert expected
    assert not {line.movie_id for line in facts.history} & {*expected}
    with pytest.raises(EvaluationError, match=r"v1\.0\.0 does not say"):
        held_out_of(replace(version, metadata=VersionMetadata()))


def test_hard_cases_are_two_for_each_reason_and_nobody_twice():
    counts = (1, 1, 2, 6, 7, 9)
    user = np.repeat(np.arange(6), counts)
    movie = np.concatenate([np.arange(n) for n in counts[:3]] + [
        np.arange(6), np.arange(7), np.array([0, 1, 2, 8, 9, 10, 11, 12, 13])])  # fmt: skip
    data = assemble(user, movie, np.full(len(user), 3), None, 7, 14)
    model = make_baseline("popular").fit(data, data.ratings, seed=1)
    version = LoadedVersion("v1.0.0", model, data, data.ratings)
    measured = pd.DataFrame(
        {
            Columns.USER: ["u3", "u4", "u5", "u2"],
            "n_test": [5, 9, 7, 2],
            "rmse": [1.0, 2.0, np.nan, 9.0],
            "full_hit_rate_at_10": [0.0, 1.0, 0.0, 0.0],
        }
    )
    assert [(case.user_id, case.why) for case in hard_cases(version, measured)] == [
        ("u4", "stars missed most, RMSE 2.00"),
        ("u3", "stars missed most, RMSE 1.00"),
        ("u5", "none of 7 held-out movies in the top 10"),
        ("u0", "fewest ratings, 1"),
        ("u1", "fewest ratings, 1"),
        ("u2", "most ratings, 2"),  # of those who are left
    ]
    alone = {case.user_id: case.why for case in hard_cases(version, None)}
    assert alone == {
        "u0": "fewest ratings, 1", "u1": "fewest ratings, 1", "u5": "most ratings, 9",
        "u4": "most ratings, 7", "u3": "rarest taste of 6 ratings",
    }  # fmt: skip


def test_the_rarest_taste_is_that_of_movies_few_have_rated():
    # two who rated most, one with the six movies that all know, one with six of their own
    rows = [np.arange(8), np.arange(8), np.arange(6), np.arange(20, 26), np.array([0]), [0]]
    user = np.repeat(np.arange(6), [len(row) for row in rows])
    data = assemble(user, np.concatenate(rows), np.full(len(user), 3), None, 6, 26)
    model = make_baseline("popular").fit(data, data.ratings, seed=1)
    cases = hard_cases(LoadedVersion("v1.0.0", model, data, data.ratings), None)
    rare = [case.user_id for case in cases if case.why == "rarest taste of 6 ratings"]
    assert rare == ["u3", "u2"]


def raters(ages, genders, stars) -> Dataset:
    n = len(stars)
    data = assemble(np.arange(n), np.zeros(n, int), stars, None, n, 2)
    data.user_frame[Columns.AGE] = ages
    data.user_frame[Columns.GENDER] = genders
    return data


def test_groups_of_raters_by_hand():
    stars = [5, 5, 4, 4, 4, 1, 2, 1, 2, 1, 3]
    ages = [20.0] * 5 + [60.0] * 5 + [np.nan]
    groups = groups_of(raters(ages, ["F"] * 5 + ["M"] * 4 + [None, None], stars), 0)
    assert [(row.kind, row.group, row.n) for row in groups.itertuples()] == [
        ("gender", "F", 5), ("age", "18 to 24", 5), ("age", "56 and over", 5),
    ]  # fmt: skip
    half = 1.96 * np.sqrt(0.3 / 5)  # of 5 5 4 4 4: variance 1.2 / 4
    assert groups["mean"].tolist() == pytest.approx([4.4, 4.4, 1.4])
    assert groups["low"].tolist()[:2] == pytest.approx([4.4 - half] * 2)
    assert groups["high"].tolist() == pytest.approx([4.4 + half] * 2 + [1.4 + half])
    assert groups["low"].tolist()[2] == 1.0  # 1.4 - 0.48 is not on the scale


def test_no_group_of_a_movie_nobody_rated_or_of_people_unknown():
    assert groups_of(raters([20.0] * 5, ["F"] * 5, [3] * 5), 1).empty
    bare = assemble(np.arange(6), np.zeros(6, int), [3] * 6, None, 6, 1)
    assert list(groups_of(bare, 0).columns) == ["kind", "group", "n", "mean", "low", "high"]
    assert groups_of(bare, 0).empty


def two_clusters(n: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.normal(scale=0.05, size=(n, 8))
    rows[: n // 2, 0] += 1
    rows[n // 2 :, 1] += 1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_the_plane_is_numpys_and_tells_clusters_apart(form):
    rows = two_clusters()
    places, explained = _plane(form(rows))
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    assert explained == pytest.approx((size[:2] ** 2).sum() / (size**2).sum(), abs=1e-5)
    np.testing.assert_allclose(np.abs(places), np.abs(left[:, :2] * size[:2]), atol=1e-5)
    assert (places[:15, 0] > 0).all() != (places[15:, 0] > 0).all()
    assert ((places**3).sum(axis=0) > -1e-6).all()
    np.testing.assert_array_equal(_plane(form(rows))[0], places)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (2, 1), (3, 2), (5, 2), (2, 9), (6, 6)])
def test_tiny_and_equal_rows_have_a_place(form, shape):
    places, explained = _plane(form(np.full(shape, 0.5, np.float32)))
    assert places.shape == (shape[0], 2)
    assert np.abs(places).max(initial=0) < 1e-3
    assert explained == 1.0
    rows = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    places, explained = _plane(form(rows))
    assert np.isfinite(places).all()
    assert 0 < explained <= 1


def test_the_map_has_the_most_rated_movies_and_only_known_ones():
    data = make_dataset()
    model = make_baseline("svd", {"factors": 4, "epochs": 2}).fit(data, data.ratings, seed=1)
    version = LoadedVersion("v1.0.0", model, data, data.ratings)
    found = movie_map(version, most=7)
    order = np.argsort(-version.popularity, kind="stable")[:7]
    assert found.movies["movie_id"].tolist() == [f"m{movie}" for movie in order]
    assert found.movies["ratings"].tolist() == version.popularity[order].tolist()
    assert found.movies["genre"].tolist() == [version.facts(m)[3][0] for m in order.tolist()]
    assert found.basis == "vectors"
    pd.testing.assert_frame_equal(movie_map(version, most=7).movies, found.movies)


def test_without_vectors_the_map_is_by_raters():
    data = make_dataset()
    version = LoadedVersion(
        "v1.0.0", make_baseline("ease").fit(data, data.ratings, seed=1), data, data.ratings
    )
    found = movie_map(version)
    assert found.basis == "ratings"
    assert len(found.movies) == Likeness.of_model(version.recommender, version.known).known.sum()
    assert 0 < found.explained < 1
