"""How far a newcomer's fast answer is from the graph with them in it.

python benchmarks/newcomers.py [--version current] [--users 100] [--given 10] [--alone]

Users are taken out of the graph of a GraphSAGE version, all at once, or one at a time with
`--alone`, and come back as newcomers with the ratings that the version knew of them, or with their
oldest ones as far as `--given`. The weights stay, which were trained with these users: the graph
alone differs. "Listening" is `LoadedVersion.newcomer`, who hears the movies; "in the graph" is
`workflows.restore`, where the movies hear them too; both are compared with "known", where all of
these users are in the graph together. Movies that the version knew of a user are not looked at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr

from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.evaluation.ranking import ranking_at_k
from movierec.inference import LoadedVersion, Person, load_version
from movierec.inference.newcomers import FEATURES
from movierec.inference.user_profile import held_out_of
from movierec.models.graphsage.recommender import SageRecommender
from movierec.models.graphsage.user_encoder import UserEncoder
from movierec.models.residuals import fit_residuals
from movierec.settings import load_settings
from movierec.workflows.restore import person_in_graph, restore_sage

K = 10
WAYS = ("listening", "in the graph", "known")


@dataclass(frozen=True)
class Answers:
    """What one way says of some users: scores and stars, (n, n_movies), and seconds, (n,)."""

    score: FloatArray
    stars: FloatArray
    seconds: FloatArray


def main() -> None:
    """Print one line for each way."""
    options = _options()
    torch.set_num_threads(1)
    settings = load_settings()
    version = load_version(options.version, settings)
    network = restore_sage(version.name, settings, torch.device("cpu"))
    users = _some_users(version, options.users)
    reference = _over(network, _as_given(version, users, options.given))
    groups = np.split(users, len(users)) if options.alone else [users]
    answers = [_answers(version, reference, group) for group in groups]
    print(f"{version.name}, {len(users)} users, {'one at a time' if options.alone else 'at once'}")
    print(f"{'':<14} {'top 10 alike':>12} {'rank corr.':>10} {'stars off':>9} {'NDCG@10':>8} ms")
    for way in WAYS:
        print(_line(version, users, way, *(_joined(answers, name) for name in (way, "known"))))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", default="current")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--given", type=int, default=0, help="ratings they give; 0 for all")
    parser.add_argument("--alone", action="store_true")
    return parser.parse_args()


def _some_users(version: LoadedVersion, n: int) -> IntArray:
    """Return users with known and held-out ratings, drawn with a fixed seed."""
    both = np.intersect1d(version.known.user, held_out_of(version).user)
    return np.sort(np.random.default_rng(0).choice(both, min(n, len(both)), replace=False))


def _as_given(version: LoadedVersion, users: IntArray, given: int) -> Interactions:
    """Return what the graph knows, of these users their oldest ratings alone."""
    known = version.known
    if not given:
        return known
    time_ = np.arange(len(known)) if known.timestamp is None else known.timestamp
    order = np.lexsort((time_, known.user))
    first = np.searchsorted(known.user[order], known.user[order])
    is_early = np.empty(len(known), np.bool_)
    is_early[order] = np.arange(len(known)) - first < given
    return known.take(np.flatnonzero(is_early | ~np.isin(known.user, users)))


def _over(network: SageRecommender, known: Interactions) -> SageRecommender:
    return SageRecommender(
        network.members, network.features, known, network.scale, network.calibration, network.kernel
    )


def _answers(
    version: LoadedVersion, reference: SageRecommender, users: IntArray
) -> dict[str, Answers]:
    """Return what each way says of users who are out of the graph together."""
    known = reference.known
    smaller = _over(reference, known.take(np.flatnonzero(~np.isin(known.user, users))))
    kept = _kept(version, smaller)
    found: dict[str, list[tuple[FloatArray, FloatArray, float]]] = {way: [] for way in WAYS}
    for user in users.tolist():
        rows = known.user == user
        movies, stars = version.dataset.movies.ids[known.movie[rows]], known.rating[rows].tolist()
        facts = version.dataset.user_frame.iloc[user]
        asked = dict(zip(movies, stars, strict=True)), {name: facts[name] for name in FEATURES}
        same = Person(None, reference.serving, user, known.movie[rows], known.rating[rows], "known")
        ways: tuple[Callable[[], Person], ...] = (
            lambda asked=asked: kept.newcomer(*asked),
            lambda asked=asked: person_in_graph(kept, smaller, *asked),
            lambda same=same: same,
        )
        for way, ask in zip(WAYS, ways, strict=True):
            found[way].append(_timed(ask))
    return {way: Answers(*map(np.array, zip(*each, strict=True))) for way, each in found.items()}


def _kept(version: LoadedVersion, network: SageRecommender) -> LoadedVersion:
    """Return the version as it would be kept with this network's graph."""
    plain = network.corrected(None)
    sizes = (network.n_users, network.n_movies)
    known, model = network.known, plain.factors
    none = known.take(np.zeros(0, np.int64))
    return LoadedVersion(
        version.name,
        model if network.kernel is None else fit_residuals(model, none, network.kernel),
        version.dataset,
        known,
        version.metadata,
        UserEncoder.of(plain.arrays(), version.metadata, known, sizes),
        version.preprocessor,
    )


def _timed(ask: Callable[[], Person]) -> tuple[FloatArray, FloatArray, float]:
    start = time.perf_counter()
    person = ask()
    score = person.recommender.score(np.array([person.index]))[0]
    movies = np.arange(len(score))
    stars = person.recommender.predict(np.full(len(movies), person.index), movies)
    return score, stars, time.perf_counter() - start


def _joined(answers: list[dict[str, Answers]], way: str) -> Answers:
    parts = [each[way] for each in answers]
    return Answers(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("score", "stars", "seconds")
        )
    )


def _line(version: LoadedVersion, users: IntArray, way: str, ours: Answers, known: Answers) -> str:
    data, held_out = version.dataset, held_out_of(version)
    shape = (data.n_users, data.n_movies)
    seen = version.known.matrix(*shape)[users]
    relevant = held_out.matrix(*shape)[users]
    ndcg = ranking_at_k(ours.score, seen, relevant, K).summary()["ndcg_at_10"]
    open_ = [np.flatnonzero(row == 0) for row in seen.toarray()]
    alike, order, off = np.mean(
        [_apart(ours, known, place, movies) for place, movies in enumerate(open_)], axis=0
    )
    spent = 1000 * float(np.median(ours.seconds))
    return f"{way:<14} {alike:>12.3f} {order:>10.5f} {off:>9.4f} {ndcg:>8.4f} {spent:.1f}"


def _apart(
    ours: Answers, known: Answers, place: int, movies: IntArray
) -> tuple[float, float, float]:
    """Return the share of the top 10 in common, Spearman's correlation, mean |stars apart|."""
    a, b = ours.score[place, movies], known.score[place, movies]
    shared = np.intersect1d(np.argsort(-a, kind="stable")[:K], np.argsort(-b, kind="stable")[:K])
    off = np.abs(ours.stars[place, movies] - known.stars[place, movies]).mean()
    return len(shared) / K, float(spearmanr(a, b).statistic), float(off)


if __name__ == "__main__":
    main()
