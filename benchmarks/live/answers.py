"""A version's answers in one process, timed: one user, everybody, a newcomer, a reason, a start."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from implicit.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from movierec.data.dataset import FloatArray, IntArray
from movierec.export.lists import export_lists
from movierec.inference import Filters, LoadedVersion
from movierec.inference.batch import Options
from movierec.models.factors import FactorModel
from movierec.models.residuals import ResidualModel

__all__ = ["Bench", "everybody", "explain", "files", "known", "newcomer", "start"]

Times: TypeAlias = tuple[float, float]  # wall and CPU seconds
LENGTH = 10
GIVEN = 10  # ratings of a newcomer
SOME = Filters(genres=("Comedy", "Drama"), year_from=1980, min_ratings=5)
WAYS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "filters": {"filters": SOME},
    "diversity 0.3": {"diversity": 0.3},
    "by predicted rating": {"by": "rating"},
}


@dataclass(frozen=True)
class Bench:
    """A version, how often all is done, and the environment of processes that load it."""

    version: LoadedVersion
    rounds: int
    environment: Mapping[str, str]

    @property
    def users(self) -> list[str]:
        """Every user's id, in an order without meaning."""
        ids = self.version.dataset.users.ids
        return [str(user) for user in np.random.default_rng(0).permutation(ids)]


def known(bench: Bench) -> dict[str, Any]:
    """Time one known user's list, every user in turn, in each way."""
    found = {}
    for way, options in WAYS.items():
        found[way] = _spread(
            _times(lambda user, o=options: bench.version.recommend(user, LENGTH, **o), bench.users)
        )
    return found


def newcomer(bench: Bench) -> dict[str, Any]:
    """Time a newcomer with ten ratings from the question to the list."""
    people = [_first_ratings(bench.version, user) for user in bench.users]
    asked = [person for person in people if len(person) == GIVEN]
    return _spread(_times(lambda it: bench.version.recommend_for_new_user(it, k=LENGTH), asked))


def explain(bench: Bench) -> dict[str, Any]:
    """Time the reason for the first movie of each user's list."""
    version = bench.version
    asked = [(user, version.recommend(user, 1)[0].movie_id) for user in bench.users]
    return _spread(_times(lambda it: version.explain(*it), asked))


def everybody(bench: Bench) -> dict[str, Any]:
    """Time everybody's lists beside implicit's `recommend` on the same vectors, turn by turn."""
    version = bench.version
    user, movie = _vectors(version)
    liked = version.known.matrix(version.dataset.n_users, version.dataset.n_movies)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that OpenBLAS has threads: shown apart
        for mode, (blas, own) in _MODES.items():
            peer = AlternatingLeastSquares(factors=user.shape[1], num_threads=own)
            peer.user_factors, peer.item_factors = user, movie
            with blas():
                found[mode] = _beside(version, peer, liked, bench.rounds)
    return {"modes": found, "same_lists": _share_of_same(version, peer, liked)}


def start(bench: Bench) -> dict[str, Any]:
    """Time a new process from its beginning to its first answer."""
    program = (
        "import sys; from movierec.inference import load_version;"
        "load_version(sys.argv[1]).recommend(sys.argv[2])"
    )
    asked = [sys.executable, "-c", program, bench.version.name, bench.users[0]]
    nothing = [sys.executable, "-c", "pass"]

    def run(command: Sequence[str]) -> None:
        subprocess.run(command, check=True, env=dict(bench.environment))

    return {
        "first answer": _spread(_times(run, [asked] * bench.rounds)),
        "python alone": _spread(_times(run, [nothing] * bench.rounds)),
    }


def files(bench: Bench) -> dict[str, Any]:
    """Time everybody's lists as a file, in each format."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".parquet", ".csv", ".jsonl"):
            path = Path(folder) / f"lists{suffix}"
            times = _times(
                lambda it: export_lists(bench.version, it, Options(LENGTH)), [path] * bench.rounds
            )
            found[suffix] = {**_spread(times), "kilobytes": round(path.stat().st_size / 1e3)}
    return found


def _one_blas_thread() -> AbstractContextManager[Any]:
    return threadpool_limits(1, "blas")


# threads of BLAS, and implicit's own: 0 is one per core
_MODES: Mapping[str, tuple[Callable[[], AbstractContextManager[Any]], int]] = {
    "one thread": (_one_blas_thread, 1),
    "as implicit recommends: BLAS 1, its own all": (_one_blas_thread, 0),
    "nothing set": (nullcontext, 0),
}


def _beside(version: LoadedVersion, peer: Any, liked: Any, rounds: int) -> dict[str, Any]:
    everyone = np.arange(version.dataset.n_users)
    asked: Mapping[str, Callable[[], object]] = {
        "implicit": lambda: peer.recommend(everyone, liked, N=LENGTH),
        "lists": lambda: list(version.recommend_all(LENGTH, predict=False)),
        "lists with predicted ratings": lambda: list(version.recommend_all(LENGTH)),
    }
    times: dict[str, list[Times]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, ask in asked.items():
            times[name] += _times(lambda each: each(), [ask])
    ratio = {
        name: np.median(np.divide(times["implicit"], times[name]), axis=0).round(2).tolist()
        for name in asked
        if name != "implicit"
    }
    return {"milliseconds": {name: _spread(each) for name, each in times.items()}, "faster": ratio}


def _share_of_same(version: LoadedVersion, peer: Any, liked: Any) -> float:
    """Return for how many users both name the same movies in the same order."""
    (ours,) = version.recommend_all(LENGTH, predict=False, block=version.dataset.n_users)
    theirs, _ = peer.recommend(np.arange(version.dataset.n_users), liked, N=LENGTH)
    same = (ours.movie.reshape(theirs.shape) == theirs).all(axis=1)
    return round(float(same.mean()), 4)


def _vectors(version: LoadedVersion) -> tuple[FloatArray, FloatArray]:
    """Return the vectors whose products rank, a movie's bias among them."""
    model = version.recommender
    factors = model.factors if isinstance(model, ResidualModel) else model
    if not isinstance(factors, FactorModel):
        raise TypeError(type(factors))
    user, movie = np.array(factors.ranking_user), np.array(factors.ranking_movie)
    if len(factors.ranking_movie_bias):
        user = np.hstack([user, np.ones((len(user), 1), np.float32)])
        movie = np.hstack([movie, factors.ranking_movie_bias[:, None]])
    return user, movie


def _first_ratings(version: LoadedVersion, user: str) -> dict[str, float]:
    person = version.person(user)
    first: IntArray = person.seen[:GIVEN]
    ids = version.dataset.movies.ids[first]
    return {str(i): float(s) for i, s in zip(ids, person.stars, strict=False)}


def _times(ask: Callable[[Any], object], questions: Sequence[Any]) -> list[Times]:
    """Return wall and CPU seconds of each question, after one to warm up."""
    ask(questions[0])
    times = []
    for question in questions:
        begun, cpu = time.perf_counter(), _cpu_seconds()
        ask(question)
        times.append((time.perf_counter() - begun, _cpu_seconds() - cpu))
    return times


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _spread(times: Sequence[Times]) -> dict[str, float]:
    """Return milliseconds: wall time, and what of it was CPU time."""
    wall, cpu = np.asarray(times).T * 1e3
    p50, p95, p99 = np.quantile(wall, [0.5, 0.95, 0.99]).round(3).tolist()
    cpu_p50, cpu_p99 = np.quantile(cpu, [0.5, 0.99]).round(3).tolist()
    most = round(float(wall.max()), 3)
    return {
        "count": len(wall), "p50": p50, "p95": p95, "p99": p99, "max": most,
        "cpu_p50": cpu_p50, "cpu_p99": cpu_p99,
    }  # fmt: skip
