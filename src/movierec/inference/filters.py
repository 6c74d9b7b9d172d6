"""Which movies a list may hold, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Filters", "RankBy"]

RankBy: TypeAlias = Literal["ranking", "rating"]


@dataclass(frozen=True)
class Filters:
    """What a list is limited to; the default is everything.

    `genres`: a movie has at least one of them; `without_genres`: none of them. Years are
    inclusive, and a movie of unknown year passes only where no year is asked for. `min_ratings`:
    known ratings a movie has at least. `exclude`: ids of movies left out.
    """

    genres: tuple[str, ...] = ()
    without_genres: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    min_ratings: int = 0
    exclude: tuple[str, ...] = ()
