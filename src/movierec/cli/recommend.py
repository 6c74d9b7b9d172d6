"""`movierec recommend`: a list for a user, a newcomer or everybody; `movierec similar`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from movierec.cli.options import JsonOption
from movierec.cli.output import emit, number, progress_bar, table
from movierec.errors import NotFoundError, SettingsError
from movierec.inference import (
    Filters,
    LoadedVersion,
    Person,
    Recommendation,
    SimilarMovie,
    load_version,
)
from movierec.inference.batch import Options
from movierec.inference.filters import RankBy
from movierec.inference.movies import MovieHit, MovieSearch
from movierec.settings import load_settings
from movierec.workflows.data import own_ratings

__all__ = ["recommend", "similar"]

_NAMED = 5
_BASES = {
    "vectors": "similarity: the cosine of the version's vectors",
    "ratings": "similarity: the share of raters in common, as this version has no vectors",
}


_REASONS = {
    "known": "from the user's ratings",
    "no-ratings": "the user has no rating in the train part: from what else is known",
    "newcomer": "from the ratings in the file, without training again",
    "fallback": "this user is unknown: the most popular movies",
}
_CANNOT = "this version cannot answer somebody new without training: the most popular movies"

UserOption = Annotated[str | None, typer.Option(help="Id of the user, as in the data set.")]
RatingsOption = Annotated[
    Path | None,
    typer.Option(help="Somebody new: a file of their ratings, with columns movieId and rating."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Everybody, into the file of --out.")]
OutOption = Annotated[
    Path | None, typer.Option(help="File for --all: its name ends in .parquet, .csv or .jsonl.")
]
LengthOption = Annotated[int, typer.Option("-k", "--k", min=1, help="Length of the list.")]
VersionOption = Annotated[str, typer.Option(help="Which version.")]
SeenOption = Annotated[bool, typer.Option("--include-seen", help="Also movies the user has rated.")]
GenreOption = Annotated[list[str] | None, typer.Option(help="Only this genre; repeatable.")]
WithoutOption = Annotated[list[str] | None, typer.Option(help="Not this genre; repeatable.")]
FromOption = Annotated[int | None, typer.Option(help="Only movies of this year or later.")]
ToOption = Annotated[int | None, typer.Option(help="Only movies of this year or earlier.")]
LeastOption = Annotated[
    int, typer.Option(min=0, help="Only movies with so many known ratings or more.")
]
ExcludeOption = Annotated[list[str] | None, typer.Option(help="Not this movie; repeatable.")]
DiversityOption = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="0: the best by score; 1: as unlike as can be; 0.3 mixes a little."
    ),
]
ByOption = Annotated[RankBy, typer.Option(help="What the list is sorted by.")]
GraphOption = Annotated[
    bool,
    typer.Option(
        "--in-graph",
        help="With --ratings: a forward pass of the whole graph with them in it, a second or more.",
    ),
]
WhyOption = Annotated[bool, typer.Option("--why", help="Say of each movie why it is there.")]


def recommend(
    user: UserOption = None,
    ratings: RatingsOption = None,
    everybody: AllOption = False,
    out: OutOption = None,
    k: LengthOption = 10,
    version: VersionOption = "current",
    include_seen: SeenOption = False,
    genre: GenreOption = None,
    without_genre: WithoutOption = None,
    year_from: FromOption = None,
    year_to: ToOption = None,
    min_ratings: LeastOption = 0,
    exclude: ExcludeOption = None,
    diversity: DiversityOption = 0.0,
    by: ByOption = "ranking",
    in_graph: GraphOption = False,
    why: WhyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recommend movies to a user, to somebody new, or to everybody into a file."""
    _check(user, ratings, out, everybody=everybody, why=why)
    if in_graph and ratings is None:
        raise SettingsError("--in-graph goes with --ratings.", hint="The users are in it already.")
    filters = Filters(
        (*(genre or ()),), (*(without_genre or ()),), year_from, year_to, min_ratings,
        (*(exclude or ()),),
    )  # fmt: skip
    options = Options(k, not include_seen, filters, diversity, by)
    loaded = load_version(version, load_settings())
    if out is not None:
        _write(loaded, out, options, as_json=as_json)
        return
    person = loaded.person(user or "") if ratings is None else _newcomer(loaded, ratings, in_graph)
    found = _List(loaded, person, loaded.recommend_for(person, **vars(options)), why)
    emit(as_json, found.facts, found.drawn)


def _check(
    user: str | None, ratings: Path | None, out: Path | None, *, everybody: bool, why: bool
) -> None:
    if [user is not None, ratings is not None, everybody].count(True) != 1:
        raise SettingsError(
            "Whose list? One of --user, --ratings and --all says it.",
            hint="For a user of the data set: `movierec recommend --user 196`.",
        )
    if everybody != (out is not None):
        raise SettingsError(
            "--all and --out go together.",
            hint="For everybody's list: `movierec recommend --all --out recs.parquet`.",
        )
    if everybody and why:
        raise SettingsError("--why goes with one person's list.", hint="Leave it out with --all.")


def _newcomer(version: LoadedVersion, path: Path, in_graph: bool) -> Person:
    ratings = own_ratings(path, version)
    if not in_graph:
        return version.newcomer(ratings)
    from movierec.workflows.restore import in_graph as through_the_graph

    return through_the_graph(version.name, load_settings(), ratings)


@dataclass(frozen=True)
class _List:
    """One person's list, for people and for programs."""

    version: LoadedVersion
    person: Person
    lines: list[Recommendation]
    with_why: bool

    @property
    def facts(self) -> dict[str, Any]:
        """The list for programs."""
        lines = [asdict(line) for line in self.lines]
        for line, why in zip(lines, self._why(), strict=False):
            line["why"] = why
        facts = {"version": self.version.name, "user": self.person.user_id}
        return facts | {"recommendations": lines}

    def drawn(self) -> RenderableType:
        """Return the list for people, with the reasons below it."""
        user, name = self.person.user_id, self.version.name
        whose = f"somebody with {len(self.person.seen)} ratings" if user is None else f"user {user}"
        right = ("", "Predicted rating", "Year", "Score")
        names = ("", "Movie", "Year", "Genres", "Predicted rating", "Score")
        rows = map(_cells, self.lines)
        drawn = table(f"For {escape(whose)}, by {name}", *names, right=right, rows=rows)
        drawn.caption = self._caption()
        drawn.caption_justify = "left"
        why = [Text(f"{rank}. {reason}") for rank, reason in enumerate(self._why(), 1)]
        return Group(drawn, *why)

    def _why(self) -> list[str]:
        if not self.with_why:
            return []
        explained = (self.version.explain(self.person, line.movie_id) for line in self.lines)
        return [found.sentence for found in explained]

    def _caption(self) -> str:
        if not self.lines:
            return "no movie is left to recommend"
        if self.person.user_id is None and self.person.reason == "fallback":
            return _CANNOT
        return _REASONS[self.person.reason]


def _cells(line: Recommendation) -> list[str | Text]:
    return [*_movie_cells(line), number(line.predicted_rating, 2), number(line.score, 3)]


def _movie_cells(line: Recommendation | SimilarMovie) -> list[str | Text]:
    year = "–" if line.year is None else str(line.year)
    return [str(line.rank), Text(line.title), year, Text(", ".join(line.genres))]


def _write(version: LoadedVersion, out: Path, options: Options, *, as_json: bool) -> None:
    from movierec.export.lists import export_lists

    with progress_bar("Recommend", "Stopped. The same command goes on from here.") as report:
        done = export_lists(version, out, options, on_progress=report)
    sentences = [f"{done.lines:,} lines for {done.users:,} users by {done.version} are in {out}."]
    if done.resumed:
        sentences.append(f"An earlier start had been at work for {done.resumed:,} users.")
    if done.began_anew:
        sentences.append(f"It began anew: {done.began_anew}.")
    emit(as_json, done, lambda: Text(" ".join(sentences)))


def similar(
    movie: Annotated[str, typer.Argument(help="Id of the movie, or words of its title.")],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many.")] = 10,
    version: VersionOption = "current",
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
    rows = ((*_movie_cells(line), number(line.similarity, 3)) for line in lines)
    drawn = table(title, *names, right=("", "Year", "Similarity"), rows=rows)
    drawn.caption = _BASES[lines[0].basis] if lines else "nothing is known of it"
    drawn.caption_justify = "left"
    return drawn
