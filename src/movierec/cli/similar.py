"""`movierec similar`: what is like a movie."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from movierec.cli.output import JsonOption, emit, number, table
from movierec.errors import NotFoundError
from movierec.inference import LoadedVersion, SimilarMovie, load_version
from movierec.inference.movies import MovieHit, MovieSearch
from movierec.settings import load_settings

__all__ = ["similar"]

_NAMED = 5
_BASES = {
    "vectors": "similarity: the cosine of the version's vectors",
    "ratings": "similarity: the share of raters in common, as this version has no vectors",
}


def similar(
    movie: Annotated[str, typer.Argument(help="Id of the movie, or words of its title.")],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many.")] = 10,
    version: Annotated[str, typer.Option(help="Which version.")] = "current",
    as_json: JsonOption = False,
) -> None:
    """List the movies that are most like one."""
    loaded = load_version(version, load_settings())
    found = _movie(loaded, movie)
    lines = loaded.similar(found.movie_id, k)
    facts: dict[str, Any] = {"version": loaded.name, "movie": found, "similar": lines}
    emit(as_json, facts, lambda: _drawn(loaded.name, found, lines))


def _movie(version: LoadedVersion, text: str) -> MovieHit:
    """Return the movie of this id, or the only one whose title fits.

    Raises:
        NotFoundError: none fits, or several.

    """
    hits = MovieSearch(version.dataset).find(text, _NAMED + 1)
    if len(hits) == 1 or (hits and hits[0].movie_id == text.strip()):
        return hits[0]
    if not hits:
        raise NotFoundError(
            f"There is no movie {text!r} in the data set {version.dataset.name}.",
            hint="Give its id, or words of its title.",
        )
    named = ", ".join(f"{hit.movie_id} ({_titled(hit)})" for hit in hits[:_NAMED])
    more = " and more" if len(hits) > _NAMED else ""
    raise NotFoundError(f"Several movies fit {text!r}: {named}{more}.", hint="Give an id.")


def _titled(hit: MovieHit) -> str:
    return hit.title if hit.year is None else f"{hit.title}, {hit.year}"


def _drawn(version: str, movie: MovieHit, lines: list[SimilarMovie]) -> Table:
    names = ("", "Movie", "Year", "Genres", "Similarity")
    title = f"Like {escape(_titled(movie))}, by {version}"
    drawn = table(title, *names, right=("", "Year", "Similarity"))
    for line in lines:
        year = "–" if line.year is None else str(line.year)
        genres = Text(", ".join(line.genres))
        drawn.add_row(str(line.rank), Text(line.title), year, genres, number(line.similarity, 3))
    drawn.caption = _BASES[lines[0].basis] if lines else "nothing is known of it"
    drawn.caption_justify = "left"
    return drawn
