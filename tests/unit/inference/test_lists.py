"""How lists are made: the best of many scores, filters, diversity, the order, and everybody's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.errors import EvaluationError, NotFoundError
from movierec.inference import Filters, LoadedVersion
from movierec.inference.batch import block_size
from movierec.inference.filters import allowed_movies
from movierec.inference.topk import best, best_of_rows, check_diversity, diverse, n_candidates
from movierec.inference.version import MOST_MASKS
from movierec.metadata import VersionMetadata
from movierec.models.factors import FactorModel
from movierec.models.factory import make_baseline
from tests.support.factories import make_dataset

UNKNOWN = (3, 8)  # users of the data set without a known rating
# few values, so that many are equal
VALUES = st.sampled_from([-np.inf, -1.5, 0.0, -0.0, 0.25, 0.5, 2.0])


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


def version(dataset: Dataset, name: str, **values: object) -> LoadedVersion:
    ratings = dataset.ratings
    known = ratings.take(np.flatnonzero(~np.isin(ratings.user, UNKNOWN)))
    model = make_baseline(name, values).fit(dataset, known, seed=1)
    return LoadedVersion("v1.0.0", model, dataset, known, VersionMetadata(model=name))


def sorted_all(scores: np.ndarray, popularity: np.ndarray) -> list[int]:
    """Return every position, sorted the slow way."""
    places = range(len(scores))
    return sorted(places, key=lambda i: (-scores[i], -popularity[i], i))


@given(
    st.integers(1, 60).flatmap(
        lambda n: st.tuples(
            arrays.arrays(np.float32, n, elements=VALUES),
            arrays.arrays(np.bool_, n),
            arrays.arrays(np.int64, n, elements=st.integers(0, 3)),
            st.integers(1, n + 3),
        )
    )
)
def test_the_best_are_the_head_of_all_that_is_allowed(case):
    scores, allowed, popularity, k = case
    expected = [i for i in sorted_all(scores, popularity) if allowed[i]][:k]
    assert best(scores, allowed, popularity, k).tolist() == expected


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 130)).flatmap(
        lambda shape: st.tuples(
            arrays.arrays(np.float32, shape, elements=VALUES),
            arrays.arrays(np.int64, shape[1], elements=st.integers(0, 3)),
            st.integers(1, 12),
        )
    )
)
def test_the_best_of_each_row_are_the_head_of_what_is_finite(case):
    scores, popularity, k = case
    expected = [
        (row, i)
        for row, values in enumerate(scores)
        for i in [i for i in sorted_all(values, popularity) if np.isfinite(values[i])][:k]
    ]
    row, column = best_of_rows(scores, popularity, k)
    assert [*zip(row.tolist(), column.tolist(), strict=True)] == expected


def test_no_rows_have_no_best():
    row, column = best_of_rows(np.zeros((0, 50), np.float32), np.zeros(50, np.int64), 3)
    assert (len(row), len(column)) == (0, 0)


# 0 and 1 are alike, 2 is like neither, 3 is the opposite of 0
SCORES = np.array([4.0, 3.8, 3.0, 2.0])
ALIKE = np.array(
    [[1.0, 0.9, 0.0, -1.0], [0.9, 1.0, 0.1, -0.8], [0.0, 0.1, 1.0, 0.2], [-1.0, -0.8, 0.2, 1.0]]
)


@pytest.mark.parametrize(
    ("diversity", "order"),
    [
        (0.0, [0, 1, 2, 3]),
        # after 0, with the scores as 1, 0.9, 0.5, 0: 1 is worth 0.8 * 0.9 - 0.2 * 0.9 = 0.54,
        # 2 is worth 0.4, 3 is worth 0.2; then 2 is worth 0.8 * 0.5 - 0.2 * 0.1 = 0.38
        (0.2, [0, 1, 2, 3]),
        # 1: 0.5 * 0.9 - 0.5 * 0.9 = 0; 2: 0.25; 3: 0.5. Then 1: 0, 2: 0.25 - 0.1 = 0.15
        (0.5, [0, 3, 2, 1]),
        # 2 is worth 0.45 * 0.5 = 0.225 less 0, 3 is worth 0.55
        (1.0, [0, 3, 2, 1]),
    ],
)
def test_diversity_trades_score_for_unlikeness(diversity, order):
    assert diverse(SCORES, ALIKE, 4, diversity).tolist() == order


def test_diversity_looks_at_all_that_was_chosen_not_at_the_last_one():
    alike = np.eye(4)
    alike[0, 3] = alike[3, 0] = 0.9
    # 3 is like 0, which was chosen two places ago: 0.1 - 0.45 is less than 0 - 0
    scores = np.array([1.0, 0.8, 0.2, 0.2])
    assert diverse(scores, alike, 4, 0.5).tolist() == [0, 1, 2, 3]


def test_a_diverse_list_is_no_longer_than_what_there_is():
    assert diverse(SCORES[:2], ALIKE[:2, :2], 9, 0.5).tolist() == [0, 1]
    assert diverse(SCORES[:0], ALIKE[:0, :0], 9, 0.5).tolist() == []
    assert diverse(np.ones(3), np.eye(3), 2, 0.3).tolist() == [0, 1]  # all equal: no division by 0


def test_from_how_many_movies_a_diverse_list_is_chosen():
    assert [n_candidates(k) for k in (1, 10, 11, 100)] == [100, 100, 110, 1000]


@pytest.mark.parametrize("diversity", [-0.1, 1.1, np.nan, np.inf])
def test_a_diversity_lies_between_0_and_1(dataset, diversity):
    with pytest.raises(EvaluationError, match="not between 0 and 1"):
        check_diversity(diversity)
    with pytest.raises(EvaluationError, match="not between 0 and 1"):
        version(dataset, "svd").recommend("u1", diversity=diversity)
    with pytest.raises(EvaluationError, match="not between 0 and 1"):
        next(version(dataset, "svd").recommend_all(diversity=diversity))


def alikeness(loaded: LoadedVersion, diversity: float) -> float:
    """Return how alike the movies of a list of six are, on average."""
    movies = [line.movie_id for line in loaded.recommend("u1", 6, diversity=diversity)]
    pairs = loaded.likeness.among(loaded.dataset.movies.indices(movies))
    return float(pairs[np.triu_indices(len(movies), 1)].mean())


def test_more_diversity_makes_lists_less_alike(dataset):
    loaded = version(dataset, "svd")
    assert loaded.recommend("u1", 6, diversity=0.0) == loaded.recommend("u1", 6)
    found = [alikeness(loaded, diversity) for diversity in (0.0, 0.5, 1.0)]
    assert found[0] > found[1] > found[2]
    first = [loaded.recommend("u1", 6, diversity=d)[0].movie_id for d in (0.0, 0.5, 1.0)]
    assert len({*first}) == 1


def in_frame(dataset: Dataset, year: list[float], genres: list[str]) -> Dataset:
    """Return the data set with the first movies' years and genres as given, the others without."""
    frame = dataset.movie_frame.copy()
    rest = len(frame) - len(year)
    frame[Columns.YEAR] = [*year, *[np.nan] * rest]
    frame[Columns.GENRES] = [*genres, *[""] * rest]
    return replace(dataset, movie_frame=frame)


YEARS = [1980.0, 1990.0, 1991.0, 2000.0, np.nan]
GENRES = ["Comedy", "Comedy|Drama", "Drama|Horror", "", "Horror"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [0, 1, 2, 3, 4]),
        (Filters(genres=("Comedy",)), [0, 1]),
        (Filters(genres=("Comedy", "Horror")), [0, 1, 2, 4]),
        (Filters(without_genres=("Drama",)), [0, 3, 4]),
        (Filters(genres=("Comedy",), without_genres=("Drama", "Horror")), [0]),
        (Filters(year_from=1990), [1, 2, 3]),
        (Filters(year_to=1990), [0, 1]),
        (Filters(year_from=1990, year_to=1990), [1]),
        (Filters(min_ratings=3), [1, 3, 4]),
        (Filters(exclude=("m0", "m4", "m0")), [1, 2, 3]),
        (Filters(("Drama",), ("Horror",), 1985, 1995, 3, ("m3",)), [1]),
        (Filters(genres=("Comedy",), min_ratings=99), []),
    ],
)
def test_each_filter_and_all_together(dataset, filters, expected):
    data = in_frame(dataset, YEARS, GENRES)
    popularity = np.full(dataset.n_movies, 3)
    popularity[:5] = [2, 3, 0, 4, 9]
    found = allowed_movies(filters, data, popularity)
    assert np.flatnonzero(found[:5]).tolist() == expected


def test_a_list_has_what_passes_and_keeps_the_order(dataset):
    loaded = version(dataset, "svd")
    plain = loaded.recommend("u1", 99)
    filters = Filters(genres=("Comedy",), year_from=1950)
    expected = [
        line.movie_id
        for line in plain
        if "Comedy" in line.genres and line.year is not None and line.year >= 1950
    ]
    assert [line.movie_id for line in loaded.recommend("u1", 99, filters=filters)] == expected
    assert [line.movie_id for line in loaded.recommend("u1", 99)] == [e.movie_id for e in plain]


def test_filters_that_cannot_be_are_named(dataset):
    loaded = version(dataset, "svd")
    for filters, error, message in (
        (Filters(genres=("Polka",)), NotFoundError, "no genre 'Polka'"),
        (Filters(without_genres=("Polka",)), NotFoundError, "no genre 'Polka'"),
        (Filters(exclude=("m99",)), NotFoundError, "no movie 'm99'"),
        (Filters(min_ratings=-1), EvaluationError, "below 0"),
        (Filters(year_from=2000, year_to=1999), EvaluationError, "No year is from 2000"),
    ):
        with pytest.raises(error, match=message):
            loaded.recommend("u1", filters=filters)


def test_data_without_years_or_genres():
    plain = make_dataset(features=False)
    loaded = version(plain, "svd")
    assert loaded.recommend("u1", filters=Filters(year_from=1990)) == []
    with pytest.raises(NotFoundError, match="has no genres"):
        loaded.recommend("u1", filters=Filters(genres=("Comedy",)))


def test_filters_are_remembered_but_not_without_end(dataset):
    loaded = version(dataset, "svd")
    for least in [*range(3 * MOST_MASKS), 0, 1]:
        counts = [loaded.popularity[i] for i in range(dataset.n_movies)]
        passing = {f"m{i}" for i, count in enumerate(counts) if count >= least}
        filters = Filters(min_ratings=least)
        lines = loaded.recommend("u1", 99, exclude_seen=False, filters=filters)
        assert {line.movie_id for line in lines} == passing
        assert len(loaded._masks) <= MOST_MASKS


def test_by_rating_sorts_by_what_is_predicted_beyond_the_scale(dataset):
    rating_user = np.ones((dataset.n_users, 1), np.float32)
    rating_movie = np.linspace(7, 2, dataset.n_movies, dtype=np.float32)[::-1, None]
    model = FactorModel(
        dataset.n_users, dataset.n_movies, dataset.scale,
        rating_user=rating_user, rating_movie=rating_movie,
        ranking_user=rating_user, ranking_movie=-rating_movie,
    )  # fmt: skip
    loaded = LoadedVersion("v1.0.0", model, dataset, dataset.ratings)
    lines = loaded.recommend("u1", 99, exclude_seen=False, by="rating")
    assert [line.movie_id for line in lines] == [f"m{i}" for i in range(29, -1, -1)]
    assert [line.predicted_rating for line in lines[:5]] == [5.0] * 5  # clipped, and yet in order
    assert [line.score for line in lines] == [line.predicted_rating for line in lines]
    ranked = loaded.recommend("u1", 99, exclude_seen=False)
    assert [line.movie_id for line in ranked] == [line.movie_id for line in reversed(lines)]


def test_by_rating_needs_ratings(dataset):
    loaded = version(dataset, "ease")
    with pytest.raises(EvaluationError, match="predicts no ratings to sort by"):
        loaded.recommend("u1", by="rating")
    with pytest.raises(EvaluationError, match="predicts no ratings to sort by"):
        next(loaded.recommend_all(by="rating"))


def test_somebody_unknown_gets_what_is_popular_among_what_passes(dataset):
    loaded = version(dataset, "ease")
    filters = Filters(genres=("Comedy",))
    lines = loaded.recommend("nobody", 99, filters=filters, by="rating")
    passing = [i for i in range(dataset.n_movies) if "Comedy" in loaded.facts(i)[3]]
    expected = sorted(passing, key=lambda i: (-loaded.popularity[i], i))
    assert [line.movie_id for line in lines] == [f"m{i}" for i in expected]
    assert {line.reason for line in lines} == {"fallback"}


EACH_WAY = [
    {},
    {"exclude_seen": False},
    {"filters": Filters(genres=("Comedy",))},
    {"filters": Filters(min_ratings=999)},
    {"diversity": 0.4},
    {"diversity": 0.4, "filters": Filters(genres=("Comedy",)), "exclude_seen": False},
]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, way) for name in ("svd", "ease", "popular", "biases", "mean") for way in EACH_WAY),
        *((name, {"by": "rating"}) for name in ("svd", "biases", "mean")),
    ],
    ids=str,
)
def test_everybodys_lists_are_each_ones_own(dataset, name, options):
    loaded = version(dataset, name)
    lists = [*loaded.recommend_all(7, block=11, **options)]
    assert len(lists) == 4
    found = [
        (loaded.dataset.users.ids[user], int(rank), f"m{movie}", str(reason))
        for each in lists
        for user, rank, movie, reason in zip(
            each.user, each.rank, each.movie, each.reason, strict=True
        )
    ]
    told = [
        (user, line) for user in dataset.users.ids for line in loaded.recommend(user, 7, **options)
    ]
    assert found == [(user, line.rank, line.movie_id, line.reason) for user, line in told]
    score = np.array([line.score for _, line in told], float)
    predicted = np.array([line.predicted_rating for _, line in told], float)
    np.testing.assert_allclose(np.concatenate([each.score for each in lists]), score, rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([each.predicted for each in lists]), predicted, rtol=1e-5
    )


def test_some_users_in_the_order_asked(dataset):
    loaded = version(dataset, "svd")
    users = np.array([9, 2, UNKNOWN[0], 30])
    (lists,) = loaded.recommend_all(3, users=users)
    assert lists.user.tolist() == np.repeat(users, 3).tolist()
    expected = [
        int(line.movie_id[1:]) for user in users for line in loaded.recommend(f"u{user}", 3)
    ]
    assert lists.movie.tolist() == expected
    assert [*loaded.recommend_all(3, users=users[:0])] == []


def test_without_predicting_there_are_no_ratings_and_the_same_movies(dataset):
    loaded = version(dataset, "svd")
    (with_stars,), (without,) = loaded.recommend_all(5), loaded.recommend_all(5, predict=False)
    assert np.isfinite(with_stars.predicted).any()
    assert np.isnan(without.predicted).all()
    assert without.movie.tolist() == with_stars.movie.tolist()


def test_memory_bounds_how_many_users_are_looked_at_at_once():
    assert [block_size(n) for n in (0, 1682, 59_047, 10**9)] == [1024, 1024, 284, 1]


def test_as_many_are_alike_as_there_are(dataset):
    loaded = version(dataset, "svd")
    everything = loaded.similar("m3", 999)
    assert len(everything) == dataset.n_movies - 1
    assert loaded.similar("m3", 4) == everything[:4]
    values = [line.similarity for line in everything]
    assert values == sorted(values, reverse=True)
