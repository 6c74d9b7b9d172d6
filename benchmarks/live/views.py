"""Every page and view on a project as it is, opened by sessions that look at something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser

from live.browser import settled
from live.figures import summary
from live.server import Server
from live.sessions import opened_seconds
from movierec.data.dataset import Dataset
from movierec.settings import Settings
from movierec.store import open_store

__all__ = ["VIEWS", "measure"]

# page and query of each view's address; {user}, {movie} and {word} change with each opening
VIEWS: dict[str, tuple[str, str]] = {
    "Home": ("", ""),
    "Data, Overview": ("Data", ""),
    "Data, Movies": ("Data", "view=Movies&movie={movie}"),
    "Data, Movies, search": ("Data", "view=Movies&mq={word}"),
    "Data, Users": ("Data", "view=Users&user={user}"),
    "Data, Users, search": ("Data", "view=Users&uq={word}"),
    "Train, New run": ("Train", ""),
    "Train, Runs": ("Train", "view=Runs"),
    "Train, Sweeps": ("Train", "view=Sweeps"),
    "Versions": ("Versions", ""),
    "Versions, History": ("Versions", "view=History+of+current"),
    "Compare, Overview": ("Compare", ""),
    "Compare, Groups": ("Compare", "view=Groups"),
    "Compare, Stars": ("Compare", "view=Stars"),
    "Compare, Lists": ("Compare", "view=Lists&user={user}"),
    "Compare, Online": ("Compare", "view=Online"),
    "Recommend, User": ("Recommend", "view=User&user={user}"),
    "Recommend, User, known": ("Recommend", "view=User&user={user}&known=true"),
    "Recommend, Newcomer": ("Recommend", "view=Newcomer&rated={movie}:5"),
    "Recommend, Movie": ("Recommend", "view=Movie&movie={movie}"),
    "Recommend, Map": ("Recommend", "view=Map&user={user}"),
    "Recommend, Feedback": ("Recommend", "view=Feedback"),
}
WORDS = ("film 1", "1", "drama", "film 77", "20", "the", "film 12", "99")


@dataclass(frozen=True, eq=False)
class _Somebody:
    """Fills addresses with users and movies drawn by lot: one of the busiest, then any."""

    data: Dataset

    def addresses(self, query: str) -> Iterator[str]:
        """Yield the query filled in anew, without end."""
        rng = np.random.default_rng(0)
        users, movies = self.data.by_user.counts, self.data.by_movie.counts
        at = int(users.argmax()), int(movies.argmax())
        for turn in range(10**6):
            yield query.format(
                user=self.data.users.ids[at[0]],
                movie=self.data.movies.ids[at[1]],
                word=WORDS[turn % len(WORDS)],
            )
            at = int(rng.integers(len(users))), int(rng.integers(len(movies)))


def measure(
    settings: Settings, browser: Browser, times: int, only: Callable[[str], bool]
) -> dict[str, Any]:
    """Open each view in one server, `times` times after the first, each time on somebody else.

    `only` says which views, by their names.
    """
    with open_store(settings) as store:
        data = store.datasets.load()
        size = {"ratings": data.n_ratings, "users": data.n_users, "movies": data.n_movies}
    found, somebody = {}, _Somebody(data)
    with Server(settings) as server:
        for name, (page, query) in VIEWS.items():
            if only(name):
                found[name] = _view(server, browser, page, somebody.addresses(query), times)
    return {**size, "versions": len(_versions(settings)), "views": found}


def _view(
    server: Server, browser: Browser, page: str, queries: Iterator[str], times: int
) -> dict[str, Any]:
    """Return seconds of the first opening, of warm ones, and until a browser has drawn it all.

    `cpu` is what the server computes for a warm opening, whatever else the machine does.
    """

    def opened(query: str) -> float:
        return opened_seconds(server.address, page, query, 1)[0]

    first = opened(next(queries))
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    scripts = [opened(query) for query in islice(queries, times)]
    after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / times
    urls = [f"{server.address}/{page}?{query}" for query in islice(queries, times)]
    drawn = settled(browser, urls)
    return {
        "first": round(first, 3), "script": summary(scripts), "cpu": round(cpu, 3),
        "drawn": summary(drawn),
    }  # fmt: skip


def _versions(settings: Settings) -> list[str]:
    with open_store(settings) as store:
        return [record.name for record in store.versions.summaries(())]
