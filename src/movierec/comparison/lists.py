"""One user's lists in several versions, and the users for whom most has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.comparison.metrics import BY_KEY, Metric
from movierec.data.dataset import IntArray, Interactions
from movierec.errors import EvaluationError
from movierec.inference import LoadedVersion, Recommendation
from movierec.inference.user_profile import (
    HistoryLine,
    held_out_of,
    history_of,
    stars_of,
    words_about,
)

__all__ = [
    "HistoryLine",
    "ListLine",
    "Move",
    "Overlap",
    "UserChange",
    "UserLists",
    "changed_users",
    "held_out_of",
    "user_lists",
]

PERSISTENCE = 0.9  # of rank-biased overlap: the first ten ranks then carry 86 % of it


@dataclass(frozen=True)
class ListLine:
    """One line of a version's list; `stars` is what the user gave it, None if it is no hit."""

    rank: int
    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    predicted: float | None
    stars: float | None

    @property
    def is_hit(self) -> bool:
        """Whether the user did rate it, in the part that was held out."""
        return self.stars is not None


@dataclass(frozen=True)
class Overlap:
    """How much of a version's list is in the baseline's too: `shared` of `of` movies.

    `rank_biased` is 1 for the same list in the same order, 0 for nothing in common; the top
    counts most (Webber, Moffat and Zobel 2010, equation 32, p = 0.9). NaN for empty lists.
    """

    version: str
    shared: int
    of: int
    rank_biased: float


@dataclass(frozen=True)
class Move:
    """One movie of any list, and its rank in every version, also below the list's end.

    None: the version may not show it, as it knows the user's rating of it.
    """

    movie_id: str
    title: str
    year: int | None
    is_hit: bool
    ranks: Mapping[str, int | None]


@dataclass(frozen=True)
class UserLists:
    """The same user's lists of several versions, the first of which is the baseline.

    `facts` are words about the user by their names. `history` has the ratings that the baseline
    knows, best first and newest first among equals. `moves` are in the order of the baseline's
    list, then of the others'.
    """

    user_id: str
    k: int
    baseline: str
    facts: Mapping[str, str]
    history: tuple[HistoryLine, ...]
    lists: Mapping[str, tuple[ListLine, ...]]
    overlaps: tuple[Overlap, ...]
    moves: tuple[Move, ...]

    def hits(self, version: str) -> int:
        """Return how many movies of a version's list the user did rate."""
        return sum(line.is_hit for line in self.lists[version])


@dataclass(frozen=True)
class UserChange:
    """One user's metric in the baseline (`a`) and in the version (`b`).

    `delta` is b − a in the metric's unit, `gain` the same with more being better.
    """

    user_id: str
    index: int
    n_train: int
    n_test: int
    a: float
    b: float
    delta: float
    gain: float


def user_lists(
    versions: Mapping[str, LoadedVersion], held_out: Interactions, user_id: str, k: int = 10
) -> UserLists:
    """Put a user's lists side by side; the first version is the baseline.

    Raises:
        NotFoundError: there is no such user.
        EvaluationError: k is below 1, or there is no version.

    """
    if not versions:
        raise EvaluationError("No version was given.", hint="Give two or more.")
    baseline, first = next(iter(versions.items()))
    user = first.dataset.users.index(user_id)
    stars = stars_of(first.dataset, held_out, user)
    lists = {name: _list(version, user_id, k, stars) for name, version in versions.items()}
    return UserLists(
        user_id=user_id,
        k=k,
        baseline=baseline,
        facts=_facts(first, user, len(stars)),
        history=_history(first, user),
        lists=lists,
        overlaps=tuple(_overlap(lists[baseline], lists[name], name) for name in [*lists][1:]),
        moves=_moves(versions, lists, user_id),
    )


def changed_users(
    baseline: pd.DataFrame, version: pd.DataFrame, metric_key: str, n: int | None = 20
) -> list[UserChange]:
    """Return who gained most, best first, then who lost most, the largest loss last.

    At most `n` of each, and only users who did gain or lose; with n = None every user measured
    in both frames, from the largest gain to the largest loss. Equal changes are in the order of
    the users' indices.

    `baseline`, `version`: per-user frames of the same test part.

    Raises:
        EvaluationError: the metric has no value per user.

    """
    frame = _paired(baseline, version, BY_KEY[metric_key])
    if n is not None:
        gained, lost = frame.loc[frame["gain"] > 0], frame.loc[frame["gain"] < 0]
        frame = pd.concat([gained.head(n), lost.tail(n)])
    columns = [Columns.USER, Columns.USER_INDEX, "n_train", "n_test", "a", "b", "delta", "gain"]
    return [UserChange(*row) for row in frame[columns].itertuples(index=False, name=None)]


def _paired(baseline: pd.DataFrame, version: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the users measured in both with a, b, delta and gain, the largest gain first."""
    a, b = (_per_user(frame, metric) for frame in (baseline, version))
    facts = baseline.set_index(Columns.USER_INDEX)[[Columns.USER, "n_train", "n_test"]]
    both = facts.join(a.rename("a")).join(b.rename("b")).dropna(subset=["a", "b"])
    delta = both["b"] - both["a"]
    both = both.assign(delta=delta, gain=-delta if metric.lower_is_better else delta)
    both = both.sort_index().sort_values("gain", ascending=False, kind="stable")
    return both.reset_index()


def _per_user(frame: pd.DataFrame, metric: Metric) -> pd.Series:
    by_user = frame.set_index(Columns.USER_INDEX)
    if metric.key == "mae" and "abs_error_sum" in by_user:
        return by_user["abs_error_sum"] / by_user["n_test"]
    if not metric.column or metric.column not in by_user:
        raise EvaluationError(
            f"{metric.label} has no value per user in these versions.",
            hint="Choose another metric, such as RMSE or NDCG@10 full.",
        )
    return by_user[metric.column]


def _list(
    version: LoadedVersion, user_id: str, k: int, stars: Mapping[str, float]
) -> tuple[ListLine, ...]:
    return tuple(_line(found, stars) for found in version.recommend(user_id, k))


def _line(found: Recommendation, stars: Mapping[str, float]) -> ListLine:
    return ListLine(
        rank=found.rank,
        movie_id=found.movie_id,
        title=found.title,
        year=found.year,
        genres=found.genres,
        predicted=found.predicted_rating,
        stars=stars.get(found.movie_id),
    )


def _facts(version: LoadedVersion, user: int, held_out: int) -> dict[str, str]:
    known = len(version.rows_of(user))
    counts = {"Known ratings": f"{known:,}", "Held-out ratings": f"{held_out:,}"}
    return words_about(version.dataset, user) | counts


def _history(version: LoadedVersion, user: int) -> tuple[HistoryLine, ...]:
    newest_first = history_of(version, user)
    return tuple(sorted(newest_first, key=lambda line: -line.stars))


def _overlap(a: Sequence[ListLine], b: Sequence[ListLine], name: str) -> Overlap:
    left, right = ([line.movie_id for line in lines] for lines in (a, b))
    shared = len(set(left) & set(right))
    return Overlap(name, shared, max(len(left), len(right)), rank_biased_overlap(left, right))


def rank_biased_overlap(a: Sequence[str], b: Sequence[str], p: float = PERSISTENCE) -> float:
    """Return how alike two rankings are, 0 to 1, read down to the end of the shorter one.

    The overlap seen at each depth, weighted by p^depth, the last one taken to go on below
    (Webber, Moffat and Zobel 2010, "A similarity measure for indefinite rankings", ACM TOIS
    28(4), equation 32). NaN where one of them is empty.
    """
    depth = min(len(a), len(b))
    if not depth:
        return float("nan")
    depths = np.arange(1, depth + 1)
    agreed = np.array([len(set(a[:d]) & set(b[:d])) for d in range(1, depth + 1)]) / depths
    return float(agreed[-1] * p**depth + (1 - p) / p * (agreed * p**depths).sum())


def _moves(
    versions: Mapping[str, LoadedVersion],
    lists: Mapping[str, Sequence[ListLine]],
    user_id: str,
) -> tuple[Move, ...]:
    ranks = {name: _ranks(version, user_id) for name, version in versions.items()}
    index = next(iter(versions.values())).dataset.movies.index
    lines = {line.movie_id: line for each in lists.values() for line in each}
    return tuple(
        Move(
            line.movie_id, line.title, line.year, line.is_hit,
            {name: _rank(found, index(line.movie_id)) for name, found in ranks.items()},
        )
        for line in lines.values()
    )  # fmt: skip


def _ranks(version: LoadedVersion, user_id: str) -> npt.NDArray[np.int64]:
    """Return the rank of every movie for a user, 0 where it is not to be shown, (n_movies,)."""
    order: IntArray = version.ranking(user_id)
    ranks = np.zeros(version.dataset.n_movies, np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _rank(ranks: npt.NDArray[np.int64], movie: int) -> int | None:
    return int(ranks[movie]) or None
